// SPDX-License-Identifier: Apache-2.0
// Convolutions whose filters have one tap and meet every place once (1 x 1, stride 1, no padding), and their gradients
// in the data, are matrix products as they stand: batch (image, group), rows of filters, columns of places. All
// variants of MATMUL are offered, on views of the same operands.
#include <memory>
#include <optional>

#include "convolution.h"
#include "matmul.h"

namespace backplane::codegen {
namespace {

/// The one stride in which the spatial axes (from 2 on) are crossed, or nothing.
std::optional<int64_t> place_stride(const bp_tensor_desc& desc) {
  int64_t stride = 0, extent = 1;
  for (uint32_t axis = desc.rank; axis-- > 2;) {
    if (desc.shape[axis] == 1) continue;
    if (extent == 1) stride = desc.strides[axis];
    else if (desc.strides[axis] != stride * extent) return std::nullopt;
    extent *= desc.shape[axis];
  }
  return extent == 1 ? 1 : stride;
}

struct View {
  bp_op op;
  std::vector<bp_tensor_desc> inputs;
  bp_tensor_desc output;
};

/// [image, group, channel, place] of an operand shaped [image, channel, place ...].
std::optional<bp_tensor_desc> as_matrix(const bp_tensor_desc& desc, int64_t groups, int64_t places) {
  const std::optional<int64_t> stride = place_stride(desc);
  if (!stride) return std::nullopt;
  const int64_t rows = desc.shape[1] / groups;
  return bp_tensor_desc{desc.dtype,
                        4,
                        {desc.shape[0], groups, rows, places},
                        {desc.strides[0], rows * desc.strides[1], desc.strides[1], *stride}};
}

std::shared_ptr<View> view_of(const ConvolutionProblem& p) {
  const int64_t places = p.positions();
  auto view = std::make_shared<View>();
  const int64_t filters = p.group_filters(), channels = p.group_channels();
  bp_tensor_desc w{
      p.w.dtype, 4, {p.n, p.groups, filters, channels}, {0, filters * p.w.strides[0], p.w.strides[0], p.w.strides[1]}};
  if (p.direction == BP_OP_CONVOLUTION_GRAD_DATA) {
    std::swap(w.shape[2], w.shape[3]);
    std::swap(w.strides[2], w.strides[3]);
  }
  view->inputs.push_back(w);
  for (uint32_t i = 0; i < p.op->num_inputs; ++i) {
    if (i == p.w_index) continue;
    const auto matrix = as_matrix(p.op->inputs[i], p.groups, places);
    if (!matrix) return nullptr;
    view->inputs.push_back(*matrix);
  }
  const auto matrix = as_matrix(p.op->outputs[0], p.groups, places);
  if (!matrix) return nullptr;
  view->output = *matrix;
  view->op = *p.op;
  view->op.code = BP_OP_MATMUL;
  view->op.attrs = nullptr;
  view->op.inputs = view->inputs.data();
  view->op.outputs = &view->output;
  return view;
}

bool is_product(const ConvolutionProblem& p) {
  if (p.direction == BP_OP_CONVOLUTION_GRAD_FILTER || p.taps() != 1) return false;
  for (int axis = 0; axis < 3; ++axis) {
    if (p.pad[axis] != 0 || p.in[axis] != p.out[axis] || (p.stride[axis] != 1 && p.in[axis] != 1)) return false;
  }
  return true;
}

}  // namespace

void list_convolution_matmul(const ConvolutionProblem& p, const DeviceFacts& facts, Variants& out) {
  if (!is_product(p)) return;
  const std::shared_ptr<View> view = view_of(p);
  if (view == nullptr) return;
  Variants variants;
  list_matmul(view->op, facts, variants);
  for (Variant& v : variants) {
    v.name = "as_matmul_" + v.name;
    v.build = [view, build = std::move(v.build)] {
      Recipe recipe = build();
      // The view's inputs are w, x (or dy); the operation's the other way round.
      for (Launch& launch : recipe.launches) {
        for (Slot& slot : launch.slots) {
          if (slot.from == Slot::From::input && slot.index < 2) slot.index = 1 - slot.index;
        }
      }
      return recipe;
    };
    out.push_back(std::move(v));
  }
}

}  // namespace backplane::codegen
