// SPDX-License-Identifier: Apache-2.0
// What hostile.c cannot do in C.
#include <stdexcept>

extern "C" void hostile_throw_exception() { throw std::runtime_error("thrown across the boundary"); }
extern "C" void hostile_throw_int() { throw 42; }
