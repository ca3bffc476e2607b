// SPDX-License-Identifier: Apache-2.0
// What hostile.c cannot do in C: throw, and have a static object whose life ends before the program's own.
#include <stdexcept>

extern "C" void hostile_throw_exception() { throw std::runtime_error("thrown across the boundary"); }
extern "C" {
int hostile_is_gone = 0;
}
extern "C" void hostile_has_a_static_object() {
  static const struct Driver {
    ~Driver() { hostile_is_gone = 1; }
  } driver;
}

extern "C" void hostile_throw_int() { throw 42; }
