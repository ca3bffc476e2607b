// SPDX-License-Identifier: Apache-2.0
// CONVOLUTION and its gradients: the problem behind an operation, and which variants are offered in which order.
#include "convolution.h"

#include "backplane/sdk/op.hpp"
#include "backplane/sdk/program.hpp"
#include "epilogue.h"
#include "register_tile.h"

namespace backplane::codegen {
namespace {

bp_tensor_desc with_three_axes(const bp_tensor_desc& desc) {
  bp_tensor_desc full = desc;
  const uint32_t missing = 5 - desc.rank;
  full.rank = 5;
  for (uint32_t axis = 0; axis < 3; ++axis) {
    const bool exists = axis >= missing;
    full.shape[2 + axis] = exists ? desc.shape[2 + axis - missing] : 1;
    full.strides[2 + axis] = exists ? desc.strides[2 + axis - missing] : 0;
  }
  return full;
}

}  // namespace

ConvolutionProblem::ConvolutionProblem(const bp_op& source) : op(&source), direction(source.code) {
  const auto& attrs = sdk::attrs<bp_convolution_attrs>(source);
  const bp_tensor_desc *xs = &op->inputs[0], *ws = &op->inputs[1], *ys = &op->outputs[0];
  x_index = 0, w_index = 1, y_index = 0;
  if (direction == BP_OP_CONVOLUTION_GRAD_DATA) xs = &op->outputs[0], ys = &op->inputs[0];
  if (direction == BP_OP_CONVOLUTION_GRAD_FILTER) ws = &op->outputs[0], ys = &op->inputs[1], y_index = 1;
  x = with_three_axes(*xs), w = with_three_axes(*ws), y = with_three_axes(*ys);
  dtype = op->inputs[0].dtype;
  n = x.shape[0], c = x.shape[1], o = w.shape[0], groups = attrs.groups;
  const uint32_t missing = 3 - attrs.spatial_rank;
  for (uint32_t axis = 0; axis < 3; ++axis) {
    const bool exists = axis >= missing;
    in[axis] = x.shape[2 + axis], out[axis] = y.shape[2 + axis], kernel[axis] = w.shape[2 + axis];
    stride[axis] = exists ? attrs.stride[axis - missing] : 1;
    dilation[axis] = exists ? attrs.dilation[axis - missing] : 1;
    pad[axis] = exists ? attrs.pad_low[axis - missing] : 0;
  }
}

uint32_t copy_dtype(uint32_t dtype) { return panel_dtype(dtype); }

uint64_t copy_bytes(int64_t elements, uint32_t dtype) {
  return (static_cast<uint64_t>(elements) * sdk::dtype_size(copy_dtype(dtype)) + 63) / 64 * 64;
}

void declare_convolution_result(Source& source, const ConvolutionProblem& p) {
  if (p.direction == BP_OP_CONVOLUTION_GRAD_FILTER) {
    declare_epilogue(source, *p.op, {0, 1});
    source.define("PUT_AT(v, filter, rest)", "EPILOGUE(v, filter, rest)");
  } else {
    declare_epilogue(source, *p.op, {0, 1, 2});
    source.define("PUT_AT(v, image, channel, position)", "EPILOGUE(v, image, channel, position)");
  }
}

namespace {

std::string refuse_convolution(const bp_op& op, const DeviceFacts&) {
  if (op.inputs[0].dtype == BP_BOOL) return "bool operands";
  if (op.inputs[0].dtype != op.inputs[1].dtype) return "operands of different dtypes";
  if (op.program == nullptr && op.outputs[0].dtype != op.inputs[0].dtype)
    return "the result's dtype differs from the operands'";
  return {};
}

void list_convolution(const bp_op& op, const DeviceFacts& facts, Variants& out) {
  const ConvolutionProblem problem(op);
  const Product product = convolution_product(problem);
  const bool filter = problem.direction == BP_OP_CONVOLUTION_GRAD_FILTER;
  list_convolution_matmul(problem, facts, out);
  // On llvmpipe teams lose to planes (3 x), elsewhere nothing comes near to what reads the operands once.
  const bool depthwise_late = filter && facts.cpu_like && facts.dialect == Dialect::glsl;
  if (!depthwise_late) list_convolution_depthwise(problem, facts, out);
  if (!facts.cpu_like) list_grouped("implicit_", product, facts, out);
  list_cooperative("implicit_", product, facts, op.math_mode, out);
  // Few rows of a product leave most of a shared tile idle; measured on llvmpipe, the only device with both.
  const bool few_rows = product.m <= (filter ? 1 : 4);
  if (!few_rows) list_convolution_shuffle(problem, facts, out);
  if (filter) list_convolution_dots(problem, facts, out);
  else list_convolution_tiles(problem, facts, out);
  if (few_rows) list_convolution_shuffle(problem, facts, out);
  if (depthwise_late) list_convolution_depthwise(problem, facts, out);
  list_convolution_winograd(problem, facts, out);
  list_convolution_columns(problem, facts, out);
  if (facts.cpu_like) list_grouped("implicit_", product, facts, out);
  list_naive("direct_", product, facts, out);
}

}  // namespace

extern const Family kConvolutionFamily{BP_OP_CONVOLUTION, refuse_convolution, list_convolution};
extern const Family kConvolutionGradDataFamily{BP_OP_CONVOLUTION_GRAD_DATA, refuse_convolution, list_convolution};
extern const Family kConvolutionGradFilterFamily{BP_OP_CONVOLUTION_GRAD_FILTER, refuse_convolution, list_convolution};

}  // namespace backplane::codegen
