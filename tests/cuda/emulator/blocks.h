// SPDX-License-Identifier: Apache-2.0
// Runs the blocks of a launch one after the other, the threads of a block as fibers that take turns at barriers.
#pragma once

#include <string>

#include "device_types.h"

namespace emulator {

using Entry = void (*)(EmulatedThread*, void**);

/// Empty, or what is wrong with the kernel: threads that wait at different barriers for ever.
std::string run_grid(Entry entry, const uint3& grid, const uint3& block, void** arguments);

}  // namespace emulator
