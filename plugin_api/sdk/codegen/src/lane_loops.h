// SPDX-License-Identifier: Apache-2.0
// How kernels go over rows in lanes: see kernels/lane_loops.kernel.
#pragma once

#include <cstdint>

#include "source.h"

namespace backplane::codegen {

/// How many rows of `length` elements a work-item should take together: as many as a vector has lanes where that pays,
/// else 1. `operands` says how many of them are as long as a row.
int64_t rows_together(const DeviceFacts& facts, bool along, uint32_t width, int64_t length, int64_t operands);

/// How many units of work, of so many elements each, an item of a group of one should do, on a processor: many elements, so
/// that starting it costs little; all that a core does before a second one has come; else as many items as keep all busy.
/// `in_vectors`: its lanes are loaded as vectors, not one by one. A multiple of `together`.
int64_t units_per_item(const DeviceFacts& facts, int64_t units, int64_t elements, bool in_vectors, int64_t together);

/// Defines ALONG, TOGETHER and what kernels/lane_loops.kernel makes of them; after declare_lanes.
void declare_lane_loops(Source& source, bool along, uint32_t width, int64_t together = 1);

}  // namespace backplane::codegen
