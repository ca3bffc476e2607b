// SPDX-License-Identifier: Apache-2.0
#include "operations.h"

#include <initializer_list>
#include <vector>

namespace backplane::vulkan {
namespace {

using Shape = std::initializer_list<int64_t>;

bp_tensor_desc dense(Shape shape, uint32_t dtype = BP_F32) {
  bp_tensor_desc desc{};
  desc.dtype = dtype;
  for (int64_t extent : shape) desc.shape[desc.rank++] = extent;
  int64_t stride = 1;
  for (uint32_t axis = desc.rank; axis-- > 0;) {
    desc.strides[axis] = stride;
    stride *= desc.shape[axis];
  }
  return desc;
}

bp_tensor_desc swapped(Shape shape) {  // of the last two axes: a transposed view
  bp_tensor_desc desc = dense(shape);
  std::swap(desc.shape[desc.rank - 2], desc.shape[desc.rank - 1]);
  std::swap(desc.strides[desc.rank - 2], desc.strides[desc.rank - 1]);
  return desc;
}

bp_tensor_desc along(bp_tensor_desc desc, uint32_t axis) {  // constant but for one axis
  for (uint32_t a = 0; a < desc.rank; ++a) desc.strides[a] = a == axis ? 1 : 0;
  return desc;
}

struct Visitor {
  const std::function<void(const bp_op& op)>& visit;
  void operator()(uint32_t code, const void* attrs, const std::vector<bp_tensor_desc>& in,
                  const std::vector<bp_tensor_desc>& out) const {
    bp_op op{};
    op.size = sizeof(op);
    op.code = code;
    op.attrs = attrs;
    op.inputs = in.data(), op.num_inputs = static_cast<uint32_t>(in.size());
    op.outputs = out.data(), op.num_outputs = static_cast<uint32_t>(out.size());
    op.max_workspace = UINT64_MAX;
    visit(op);
  }
};

void basic(const Visitor& add) {
  for (const uint32_t kind : {BP_REDUCE_SUM, BP_REDUCE_MAX}) {
    for (const uint32_t axes : {1u, 2u, 3u}) {
      const bp_reduce_attrs attrs{sizeof(attrs), kind, axes, 0};
      add(BP_OP_REDUCE, &attrs, {dense({64, 257})}, {dense({(axes & 1) != 0 ? 1 : 64, (axes & 2) != 0 ? 1 : 257})});
    }
    const bp_reduce_attrs rows{sizeof(rows), kind, 2, 0};
    for (const int64_t count : {64, 512}) add(BP_OP_REDUCE, &rows, {dense({count, 30})}, {dense({count, 1})});
  }
  const bp_reduce_attrs best{sizeof(best), BP_REDUCE_ARGMAX, 2, 0};
  add(BP_OP_REDUCE, &best, {dense({64, 10})}, {dense({64, 1}, BP_I32)});
  add(BP_OP_MATMUL, nullptr, {dense({64, 784}), dense({784, 256})}, {dense({64, 256})});
  add(BP_OP_MATMUL, nullptr, {dense({64, 256}), swapped({784, 256})}, {dense({64, 784})});
  add(BP_OP_MATMUL, nullptr, {swapped({64, 784}), dense({64, 256})}, {dense({784, 256})});
  add(BP_OP_MATMUL, nullptr, {dense({8, 64, 32}), dense({8, 32, 64})}, {dense({8, 64, 64})});
  for (const uint32_t dtype : {BP_F32, BP_I32}) {
    add(BP_OP_GATHER, nullptr, {dense({1, 1000, 784}, dtype), dense({64}, BP_I32)}, {dense({1, 64, 784}, dtype)});
  }
  add(BP_OP_SCATTER_ADD, nullptr, {dense({1, 65, 64}), dense({64}, BP_I32), dense({1, 64, 64})}, {dense({1, 65, 64})});
  const bp_random_attrs uniform{sizeof(uniform), BP_RANDOM_UNIFORM};
  add(BP_OP_RANDOM, &uniform, {dense({4}, BP_I32)}, {dense({64, 256})});
}

void rows(const Visitor& add) {
  const bp_axis_attrs last{sizeof(last), 1};
  const bp_tensor_desc x = dense({64, 100}), row = along(x, 1);
  for (const bp_tensor_desc& y : {x, dense({64, 10})}) {
    for (const uint32_t code : {BP_OP_SOFTMAX, BP_OP_LOG_SOFTMAX}) add(code, &last, {y}, {y});
    for (const uint32_t code : {BP_OP_SOFTMAX_GRAD, BP_OP_LOG_SOFTMAX_GRAD}) add(code, &last, {y, y}, {y});
  }
  const bp_tensor_desc statistics = dense({64, 1});
  for (const uint32_t kind : {BP_NORMALIZE_MEAN_VARIANCE, BP_NORMALIZE_RMS}) {
    const bp_normalize_attrs layer{sizeof(layer), kind, 2, 0, 1e-5};
    add(BP_OP_NORMALIZE, &layer, {x, row, row}, {x, statistics, statistics});
    add(BP_OP_NORMALIZE_GRAD, &layer, {x, x, statistics, statistics, row}, {x, dense({1, 100}), dense({1, 100})});
  }
  const bp_attention_attrs causal{sizeof(causal), 1, 0.125};
  const bp_tensor_desc q = dense({2, 4, 64, 32}), lse = dense({2, 4, 64});
  add(BP_OP_ATTENTION, &causal, {q, q, q}, {q, lse});
  add(BP_OP_ATTENTION_GRAD, &causal, {q, q, q, q, q, lse}, {q, q, q});
}

void windows(const Visitor& add) {
  const bp_tensor_desc x = dense({64, 32, 14, 14}), w = dense({64, 32, 3, 3}), y = dense({64, 64, 14, 14});
  bp_convolution_attrs attrs{};
  attrs.size = sizeof(attrs), attrs.spatial_rank = 2, attrs.groups = 1;
  for (int axis = 0; axis < 2; ++axis) {
    attrs.stride[axis] = attrs.dilation[axis] = attrs.pad_low[axis] = attrs.pad_high[axis] = 1;
  }
  add(BP_OP_CONVOLUTION, &attrs, {x, w}, {y});
  add(BP_OP_CONVOLUTION_GRAD_DATA, &attrs, {y, w}, {x});
  add(BP_OP_CONVOLUTION_GRAD_FILTER, &attrs, {x, y}, {w});
  const bp_tensor_desc half = dense({64, 32, 7, 7});
  for (const uint32_t kind : {BP_POOL_MAX, BP_POOL_AVERAGE}) {
    bp_pool_attrs pool{};
    pool.size = sizeof(pool), pool.kind = kind, pool.spatial_rank = 2;
    for (int axis = 0; axis < 2; ++axis) pool.window[axis] = pool.stride[axis] = 2, pool.dilation[axis] = 1;
    add(BP_OP_POOL, &pool, {x}, {half});
    add(BP_OP_POOL_GRAD, &pool, {x, half, half}, {x});
  }
}

}  // namespace

void for_each_common_operation(const std::function<void(const bp_op& op)>& visit) {
  const Visitor add{visit};
  basic(add);
  rows(add);
  windows(add);
}

}  // namespace backplane::vulkan
