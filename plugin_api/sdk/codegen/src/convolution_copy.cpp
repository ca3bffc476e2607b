// SPDX-License-Identifier: Apache-2.0
// Padded copies for the register tiles of convolutions: their shape, the launch that makes one, where a tap reads.
#include <algorithm>

#include "convolution.h"
#include "vectors.h"

namespace backplane::codegen {

PaddedCopy copy_for(const Spatial& out, const Spatial& kernel, const Spatial& stride, const Spatial& dilation) {
  PaddedCopy copy;
  for (int axis = 0; axis < 3; ++axis) {
    const int64_t reach = (kernel[axis] - 1) * dilation[axis];
    copy.step[axis] = stride[axis];
    copy.phases[axis] = kernel[axis] == 1 ? 1 : stride[axis];
    copy.extent[axis] = out[axis] + reach / stride[axis];
  }
  return copy;
}

std::string tap_distance(const PaddedCopy& copy, const Spatial& dilation, const std::array<std::string, 3>& tap) {
  constexpr const char* kExtents[] = {"copy_plane", "copy_row", "1"};
  constexpr const char* kPhases[] = {"copy_fz", "copy_fy", "copy_fx"};
  std::string sum = "0";
  for (int axis = 0; axis < 3; ++axis) {
    const std::string at = tap[axis] + " * " + std::to_string(dilation[axis]), step = std::to_string(copy.step[axis]);
    if (copy.step[axis] == 1) {
      sum += " + " + at + " * " + kExtents[axis];
    } else {
      sum += " + " + at + " / " + step + " * " + kExtents[axis];
      if (copy.phases[axis] > 1) sum += " + " + at + " % " + step + " * " + kPhases[axis];
    }
  }
  return "(" + sum + ")";
}

Launch make_padded_copy(const PaddedCopy& copy, const DeviceFacts& facts) {
  const bp_tensor_desc& x = *copy.from;
  Source source(facts, "convolution.pad");
  const bool dense = x.strides[4] == 1 && copy.step[2] == 1 && copy.spread[2] == 1;
  const uint32_t width = dense ? std::min<uint32_t>(vector_width(facts, x.dtype), 8) : 1;
  declare_vectors(source, width, x.dtype);
  source.input("x", copy.index, x);
  source.workspace("p", copy_dtype(x.dtype), copy.offset, copy.elements(), true);
  if (dense) {
    declare_vector_access(source, "x", width, x.dtype, false, false);
    declare_vector_access(source, "p", width, copy_dtype(x.dtype), true, false);
  }
  source.text("#define DIVIDE(q, r, i, n) int q = QUOTIENT(i, n); int r = (i) - q * (n);");
  source.define("DENSE", dense ? 1 : 0);
  constexpr const char* kUpper[] = {"Z", "Y", "X"};
  constexpr const char* kLower[] = {"z", "y", "x"};
  for (int axis = 0; axis < 3; ++axis) {
    source.param(std::string("EXTENT_") + kUpper[axis], copy.extent[axis]);
    source.define(std::string("PHASES_") + kUpper[axis], copy.phases[axis]);
    source.define(std::string("STEP_") + kUpper[axis], copy.step[axis]);
    source.define(std::string("SPREAD_") + kUpper[axis], copy.spread[axis]);
    source.param(std::string("pad_") + kLower[axis], copy.pad[axis]);
    source.param(std::string("in_") + kLower[axis], x.shape[2 + axis]);
  }
  for (uint32_t axis = 0; axis < 5; ++axis) source.param("x_s" + std::to_string(axis), x.strides[axis]);
  source.param("channels", x.shape[1]);
  const int64_t total = copy.elements() / copy.extent[2];
  source.param("total", total);
  const LinearGrid grid = linear_grid(total, facts, facts.cpu_like && facts.dialect == Dialect::opencl_c ? 64 : 0);
  return source.finish(kernel_text("convolution_pad"), grid.group, grid.grid);
}

}  // namespace backplane::codegen
