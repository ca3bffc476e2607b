// SPDX-License-Identifier: Apache-2.0
// A convolution's numbers by name, for all three directions, and what its implementations share.
//
// The copies of kernels/convolution_pad.kernel are what makes register tiles simple: zeros around the data (and between
// them, where the gradient of a strided convolution needs it), one plane per phase of the stride. Then every tap of the
// filter reads whole vectors at a constant distance from a result's place, without a test.
#pragma once

#include <array>

#include "product.h"

namespace backplane::codegen {

/// Spatial arrays have three entries; missing axes come first with extent 1.
using Spatial = std::array<int64_t, 3>;

struct ConvolutionProblem {
  explicit ConvolutionProblem(const bp_op& op);

  const bp_op* op;
  uint32_t direction;                  ///< BP_OP_CONVOLUTION*
  bp_tensor_desc x, w, y;              ///< by role, whatever the direction, with three spatial axes
  uint32_t x_index, w_index, y_index;  ///< inputs of the operation; the result's is not used
  uint32_t dtype;
  int64_t n, c, o, groups;
  Spatial in, out, kernel, stride, dilation, pad;
  int64_t group_channels() const { return c / groups; }
  int64_t group_filters() const { return o / groups; }
  int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
  int64_t positions() const { return out[0] * out[1] * out[2]; }
};

/// A padded copy of x or y in the workspace: copy[image][channel][phase][row][column], contiguous.
struct PaddedCopy {
  const bp_tensor_desc* from = nullptr;
  uint32_t index = 0;                      ///< which input of the operation
  Spatial pad{}, spread{1, 1, 1};          ///< zeros before; distance of the source's elements
  Spatial step{1, 1, 1}, phases{1, 1, 1};  ///< every step-th element, beginning with each of `phases`
  Spatial extent{};                        ///< of each phase
  uint64_t offset = 0;                     ///< in the workspace
  int64_t plane() const { return extent[0] * extent[1] * extent[2]; }
  int64_t channel() const { return plane() * phases[0] * phases[1] * phases[2]; }
  int64_t elements() const { return from->shape[0] * from->shape[1] * channel(); }
};
Launch make_padded_copy(const PaddedCopy& copy, const DeviceFacts& facts);
/// The copy that a convolution of this stride, dilation and filter reads, for `out` results along each axis.
PaddedCopy copy_for(const Spatial& out, const Spatial& kernel, const Spatial& stride, const Spatial& dilation);
/// An expression: how far the copy's element for a tap lies from the one for tap 0. `tap` are three expressions.
std::string tap_distance(const PaddedCopy& copy, const Spatial& dilation, const std::array<std::string, 3>& tap);

/// Workspaces and copies hold what is computed with.
uint32_t copy_dtype(uint32_t dtype);
uint64_t copy_bytes(int64_t elements, uint32_t dtype);

/// Declares y and PUT(v, image, channel, position) or, for the filter's gradient, PUT(v, filter, rest).
void declare_convolution_result(Source& source, const ConvolutionProblem& problem);
/// The convolution as a product of elements that are found one by one: naive and grouped variants.
Product convolution_product(const ConvolutionProblem& problem);

/// Filters of one tap as MATMUL; nothing for other convolutions.
void list_convolution_matmul(const ConvolutionProblem& problem, const DeviceFacts& facts, Variants& out);
/// Tiles by subgroups that share what they load, all directions.
void list_convolution_shuffle(const ConvolutionProblem& problem, const DeviceFacts& facts, Variants& out);
/// Register tiles over padded copies: the result and the data's gradient; the filter's gradient.
void list_convolution_tiles(const ConvolutionProblem& problem, const DeviceFacts& facts, Variants& out);
void list_convolution_dots(const ConvolutionProblem& problem, const DeviceFacts& facts, Variants& out);
/// Groups of one channel, in all directions.
void list_convolution_depthwise(const ConvolutionProblem& problem, const DeviceFacts& facts, Variants& out);
/// Columns of what the taps meet, and MATMUL: the result only.
void list_convolution_columns(const ConvolutionProblem& problem, const DeviceFacts& facts, Variants& out);
/// 3 x 3 of stride 1: the result and the data's gradient.
void list_convolution_winograd(const ConvolutionProblem& problem, const DeviceFacts& facts, Variants& out);

}  // namespace backplane::codegen
