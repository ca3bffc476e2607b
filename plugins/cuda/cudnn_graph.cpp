// SPDX-License-Identifier: Apache-2.0
#include "cudnn_graph.h"

#include <algorithm>

#include "cudnn_attention.h"
#include "epilogue.h"

namespace backplane::cuda::dnn {
namespace {

using A = Attribute;

/// How an operation's two inputs and its output, in this order, are attributes of cuDNN's.
struct Row {
  uint32_t code;
  Kind kind;
  A convolution, alpha, beta;
  A operands[3];
};
constexpr Row kRows[] = {
    {BP_OP_CONVOLUTION, Kind::convolution_forward, A::forward_convolution, A::forward_alpha, A::forward_beta,
     {A::forward_x, A::forward_w, A::forward_y}},
    {BP_OP_CONVOLUTION_GRAD_DATA, Kind::convolution_grad_data, A::data_convolution, A::data_alpha, A::data_beta,
     {A::data_dy, A::data_w, A::data_dx}},
    {BP_OP_CONVOLUTION_GRAD_FILTER, Kind::convolution_grad_filter, A::filter_convolution, A::filter_alpha, A::filter_beta,
     {A::filter_x, A::filter_dy, A::filter_dw}},
};
const Row* row_of(uint32_t code) {
  const auto row = std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& r) { return r.code == code; });
  return row == std::end(kRows) ? nullptr : row;
}

/// cuDNN's convolutions have two or three spatial axes: one becomes two by an axis of extent 1 before it.
constexpr uint32_t kFewestAxes = 2;

Descriptor convolution(const Api& api, const bp_convolution_attrs& attrs, uint32_t dtype) {
  const auto along = [&](const int64_t* values, int64_t missing) {
    std::vector<int64_t> all(values, values + attrs.spatial_rank);
    if (all.size() < kFewestAxes) all.insert(all.begin(), missing);
    return all;
  };
  const std::vector<int64_t> strides = along(attrs.stride, 1);
  Descriptor made(api, Kind::convolution);
  made.set(A::convolution_spatial_rank, static_cast<int64_t>(strides.size())).set(A::convolution_strides, strides);
  made.set(A::convolution_compute, Type::data_type, data_type(sum_dtype(dtype)));
  made.set(A::convolution_mode, Type::convolution_mode, kCrossCorrelation);
  made.set(A::convolution_dilations, along(attrs.dilation, 1));
  made.set(A::convolution_pre_paddings, along(attrs.pad_low, 0)).set(A::convolution_post_paddings, along(attrs.pad_high, 0));
  made.finalize("a convolution");
  return made;
}

std::string refuse_convolution(const bp_op& op) {
  const auto& attrs = *static_cast<const bp_convolution_attrs*>(op.attrs);
  for (uint32_t axis = 0; axis < attrs.spatial_rank; ++axis) {
    if (attrs.pad_low[axis] < 0 || attrs.pad_high[axis] < 0) return "a padding that crops";
  }
  const uint32_t dtype = op.inputs[0].dtype;
  if (data_type(dtype) < 0) return "a dtype that cuDNN's convolutions do not have";
  for (const bp_tensor_desc* desc : {&op.inputs[0], &op.inputs[1], &op.outputs[0]}) {
    if (!suits(*desc)) return "an operand that is empty, runs backwards or repeats elements";
  }
  if (op.program == nullptr) return op.outputs[0].dtype == dtype ? "" : "an output of another dtype";
  return sum_needs_own_place(op) ? "an output that cannot hold the sum for the epilogue" : "";
}

Graph make_convolution(const Api& api, const Target& target, const bp_op& op) {
  const Row& row = *row_of(op.code);
  const uint32_t dtype = op.inputs[0].dtype;
  Graph graph;
  Descriptor node(api, row.kind);
  for (uint32_t i = 0; i < 3; ++i) node.set(row.operands[i], graph.add(api, op, i == 2, i % 2));
  graph.parts.push_back(convolution(api, *static_cast<const bp_convolution_attrs*>(op.attrs), dtype));
  node.set(row.convolution, graph.parts.back());
  const double one64 = 1, zero64 = 0;
  const float one32 = 1, zero32 = 0;
  if (dtype == BP_F64) node.set(row.alpha, Type::float64, &one64).set(row.beta, Type::float64, &zero64);
  else node.set(row.alpha, Type::float32, &one32).set(row.beta, Type::float32, &zero32);
  graph.finish(api, target, std::move(node));
  return graph;
}

}  // namespace

Descriptor new_tensor(const Api& api, int64_t uid, int data_type, const std::vector<int64_t>& shape,
                      const std::vector<int64_t>& strides) {
  Descriptor made(api, Kind::tensor);
  made.set(A::tensor_uid, uid).set(A::tensor_dtype, Type::data_type, data_type).set(A::tensor_alignment, kAlignment);
  made.set(A::tensor_shape, shape).set(A::tensor_strides, strides);
  return made;
}

const Descriptor& Graph::add(const Api& api, const bp_op& op, bool is_output, uint32_t index, const bp_tensor_desc* as) {
  const bp_tensor_desc& desc = as != nullptr ? *as : is_output ? op.outputs[index] : op.inputs[index];
  std::vector<int64_t> shape(desc.shape, desc.shape + desc.rank), strides(desc.strides, desc.strides + desc.rank);
  int64_t around = 1;  // a step beyond all elements
  for (uint32_t axis = 0; axis < desc.rank; ++axis) {
    if (shape[axis] > 1) around = std::max(around, shape[axis] * strides[axis]);
  }
  for (uint32_t axis = 0; axis < desc.rank; ++axis) {
    if (shape[axis] == 1 && strides[axis] <= 0) strides[axis] = around;
  }
  if (desc.rank < kFewestAxes + 2) {
    shape.insert(shape.begin() + 2, 1);
    strides.insert(strides.begin() + 2, shape.back() * strides.back());
  }
  const auto uid = static_cast<int64_t>(bindings.size() + 1);
  bindings.push_back({uid, is_output, index});
  parts.push_back(new_tensor(api, uid, data_type(desc.dtype), shape, strides));
  return parts.back().finalize("a tensor");
}

void Graph::finish(const Api& api, const Target& target, Descriptor node) {
  node.finalize("the operation");
  Descriptor whole(api, Kind::graph);
  if (target.handle != nullptr) whole.set(A::graph_handle, Type::handle, &target.handle);
  whole.set(A::graph_operations, node).finalize("the operation graph");
  parts.push_back(std::move(node));
  parts.push_back(std::move(whole));
}

bool suits(const bp_tensor_desc& desc) {
  for (uint32_t axis = 0; axis < desc.rank; ++axis) {
    if (desc.shape[axis] == 0 || (desc.shape[axis] > 1 && desc.strides[axis] <= 0)) return false;
  }
  return true;
}

std::string refuse(const bp_op& op) {
  if (is_attention(op)) return refuse_attention(op);
  return row_of(op.code) != nullptr ? refuse_convolution(op) : "neither a convolution nor attention";
}

Graph make_graph(const Api& api, const Target& target, const bp_op& op) {
  return is_attention(op) ? make_attention(api, target, op) : make_convolution(api, target, op);
}

}  // namespace backplane::cuda::dnn
