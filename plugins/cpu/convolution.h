// SPDX-License-Identifier: Apache-2.0
// A convolution's numbers by name, for all three directions, and what its implementations share.
#pragma once

#include "work.h"

namespace backplane::cpu {

/// Spatial arrays have three entries; missing axes come first with extent 1.
struct ConvolutionProblem {
  explicit ConvolutionProblem(const Op& op);
  bp_tensor_desc x, w, y;  // by role, whatever the direction
  int64_t n, c, o, groups;
  int64_t in[3], out[3], kernel[3], stride[3], dilation[3], pad[3];
  int64_t x_stride[3];  // spatial strides of x
  int64_t group_channels() const { return c / groups; }
  int64_t group_filters() const { return o / groups; }
  int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
  int64_t positions() const { return out[0] * out[1] * out[2]; }
  double flops() const {
    return 2.0 * static_cast<double>(n * o) * static_cast<double>(positions()) *
           static_cast<double>(group_channels() * taps());
  }
};

/// im2col and our own matrix product: any strides of x, w and y dense. f32.
void list_im2col(const Op& op, Candidates& out);

#if defined(BACKPLANE_CPU_ONEDNN)
/// oneDNN's implementations over several layouts, the epilogue as post-ops where it fits (onednn_convolution.cpp).
void list_onednn_convolution(const Op& op, Candidates& out);
/// Filters of one tap as MATMUL (onednn_product.cpp); nothing for other convolutions.
void list_onednn_product(const Op& op, Candidates& out);
#endif

}  // namespace backplane::cpu
