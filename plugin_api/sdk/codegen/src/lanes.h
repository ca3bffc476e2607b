// SPDX-License-Identifier: Apache-2.0
// Values of several lanes in a kernel text, for devices whose work-items should run over many elements each: a CPU that
// runs OpenCL or Vulkan fills its vector registers from them. A width of 1 makes the same text a scalar kernel.
//
// They are vectors.h's vectors with functions, and with loads and stores of which some lanes are left out. declare_lanes
// declares those vectors (REAL, WIDTH, ...) and
//
//   LANES LANES_OF(x)         their type, all lanes alike
//   LANES_LARGER(a, b)        the larger of each lane; with NaN either may come out
//   LANES_SUM(v) LANES_TOP(v) a REAL: all lanes added, the largest lane
//   LANES_EXP(v)              e^x; NaN stays NaN; below the least normal number 0
//   LANES_EXP_DOWN(v)         the same for v <= 0, in fewer steps
//   LANES_LOG(v) REAL_EXP(x) REAL_LOG(x)
//
// and declare_lane_access, for a buffer declared as `x`
//
//   GET_x(i, left, fill)      elements i, i + step, ...: `left` of them, the other lanes are `fill`; at least one
//   PUT_x(i, v, left)         the same lanes
#pragma once

#include <cstdint>
#include <string_view>

#include "source.h"

namespace backplane::codegen {

/// The lanes that suit the device and elements of this dtype; 1 where only `wish` < 3 elements would fill them. Lanes
/// that are not filled cost less than another kernel to compile.
uint32_t lane_width(const DeviceFacts& facts, uint32_t dtype, int64_t wish);

/// `dtype` is that of the elements to compute in: f32 or f64.
void declare_lanes(Source& source, uint32_t width, uint32_t dtype);

/// Which lanes of a vector that is not full are there: the first `left`, or any as many, the same for all operands, in the
/// order that loads fastest. Any order suits what treats all lanes alike.
enum class LaneOrder { first, any };

/// `step` is the distance of neighbouring lanes in elements; 0 and 1 are part of the text, others an argument.
/// `vectors`: positions are multiples of 4, so that an aligned text may load four at once (see Source::vectors).
void declare_lane_access(Source& source, std::string_view name, uint32_t dtype, uint32_t width, int64_t step,
                         bool written, bool vectors = false, LaneOrder order = LaneOrder::first);

}  // namespace backplane::codegen
