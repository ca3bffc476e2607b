// SPDX-License-Identifier: Apache-2.0
// How kernels go over rows in lanes: see kernels/lane_loops.kernel.
#pragma once

#include <cstdint>

#include "source.h"

namespace backplane::codegen {

/// How many rows of `length` elements a work-item should take together: as many as a vector has lanes where that pays,
/// else 1. `operands` says how many of them are as long as a row.
int64_t rows_together(const DeviceFacts& facts, bool along, uint32_t width, int64_t length, int64_t operands);

/// Defines ALONG, TOGETHER and what kernels/lane_loops.kernel makes of them; after declare_lanes.
void declare_lane_loops(Source& source, bool along, uint32_t width, int64_t together = 1);

}  // namespace backplane::codegen
