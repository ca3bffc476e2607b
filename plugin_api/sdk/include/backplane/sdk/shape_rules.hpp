// SPDX-License-Identifier: Apache-2.0
// The shape and dtype rule of each operation, as OPERATIONS.md states it. One function per family.
//
// A rule gets an op whose counts, descriptors, attributes and program are already in order, and returns NULL or what
// is wrong. `x`, `w`, `y` are descriptors; only the operation's own operands are looked at, epilogues elsewhere.
#pragma once

#include "backplane/sdk/op.hpp"
#include "backplane/sdk/program.hpp"

namespace backplane::sdk::rules {

inline bool same_shape(const bp_tensor_desc& a, const bp_tensor_desc& b) {
  if (a.rank != b.rank) return false;
  for (uint32_t i = 0; i < a.rank; ++i) {
    if (a.shape[i] != b.shape[i]) return false;
  }
  return true;
}

/// y is x with extent 1 on `axes`.
inline bool is_reduced(const bp_tensor_desc& x, const bp_tensor_desc& y, uint32_t axes) {
  if (x.rank != y.rank || (axes >> x.rank) != 0) return false;
  for (uint32_t i = 0; i < x.rank; ++i) {
    if (y.shape[i] != ((axes >> i & 1u) != 0 ? 1 : x.shape[i])) return false;
  }
  return true;
}

/// The dtype that results have before an epilogue sees them.
inline uint32_t accumulator(uint32_t dtype) { return dtype == BP_F64 ? BP_F64 : BP_F32; }

inline bool is_accumulator(uint32_t dtype, uint32_t operand) { return dtype == accumulator(operand); }

inline const char* pointwise(const bp_op& op) {
  for (uint32_t i = 0; i < op.num_inputs; ++i) {
    if (!same_shape(op.inputs[i], op.outputs[0])) return "all operands need one shape; broadcast with stride 0";
  }
  for (uint32_t i = 1; i < op.num_outputs; ++i) {
    if (!same_shape(op.outputs[i], op.outputs[0])) return "all operands need one shape";
  }
  return nullptr;
}

inline const char* reduce(const bp_op& op) {
  const auto& a = attrs<bp_reduce_attrs>(op);
  const bp_tensor_desc &x = op.inputs[0], &y = op.outputs[0];
  if (a.kind < BP_REDUCE_SUM || a.kind > BP_REDUCE_ARGMIN) return "the kind is unknown";
  if (!is_reduced(x, y, a.axes)) return "y needs x's shape with extent 1 on the reduced axes";
  if ((a.kind == BP_REDUCE_SUM || a.kind == BP_REDUCE_PROD) && x.dtype == BP_BOOL) return "sum and prod need numbers";
  if (a.kind == BP_REDUCE_ARGMAX || a.kind == BP_REDUCE_ARGMIN) {
    if (y.dtype != BP_I32) return "argmax and argmin give i32";
    if (op.program != nullptr) return "argmax and argmin take no epilogue";
    int64_t count = 1, kept = 1;
    for (uint32_t i = 0; i < x.rank; ++i) ((a.axes >> i & 1u) != 0 ? count : kept) *= x.shape[i];
    if (count == 0 && kept != 0) return "argmax and argmin of an empty extent do not exist";
    if (count > INT32_MAX) return "the index does not fit i32";
  } else if (op.program == nullptr && y.dtype != x.dtype) {
    return "y needs x's dtype";
  }
  return nullptr;
}

inline const char* matmul(const bp_op& op) {
  const bp_tensor_desc &a = op.inputs[0], &b = op.inputs[1], &c = op.outputs[0];
  const uint32_t r = a.rank;
  if (r < 2 || b.rank != r || c.rank != r) return "a, b and c need one rank of at least 2";
  for (uint32_t i = 0; i + 2 < r; ++i) {
    if (a.shape[i] != c.shape[i] || b.shape[i] != c.shape[i]) return "batch extents differ; broadcast with stride 0";
  }
  if (a.shape[r - 1] != b.shape[r - 2]) return "the columns of a are not the rows of b";
  if (c.shape[r - 2] != a.shape[r - 2] || c.shape[r - 1] != b.shape[r - 1]) return "c needs a's rows and b's columns";
  if (a.dtype != b.dtype) return "a and b differ in dtype";
  if (a.dtype == BP_BOOL) return "bool cannot be multiplied";
  if (op.program != nullptr) return nullptr;
  if (is_f8(a.dtype)) return c.dtype != BP_F32 ? "products of 8-bit floats are f32" : nullptr;
  return c.dtype != a.dtype ? "c needs the operands' dtype" : nullptr;
}

inline const char* gather(const bp_op& op) {
  const bp_tensor_desc &x = op.inputs[0], &indices = op.inputs[1], &y = op.outputs[0];
  if (x.rank != 3 || indices.rank != 1 || y.rank != 3) return "needs x[outer, n, inner], indices[k] and y of rank 3";
  if (y.shape[0] != x.shape[0] || y.shape[1] != indices.shape[0] || y.shape[2] != x.shape[2]) {
    return "y needs the shape [outer, k, inner]";
  }
  if (!is_int(indices.dtype)) return "indices need i32 or i64";
  return y.dtype != x.dtype ? "y needs x's dtype" : nullptr;
}

inline const char* scatter_add(const bp_op& op) {
  const bp_tensor_desc &base = op.inputs[0], &indices = op.inputs[1], &updates = op.inputs[2], &y = op.outputs[0];
  if (base.rank != 3 || indices.rank != 1 || updates.rank != 3 || !same_shape(base, y)) {
    return "needs base[outer, n, inner], indices[k], updates[outer, k, inner], y like base";
  }
  if (updates.shape[0] != base.shape[0] || updates.shape[1] != indices.shape[0] || updates.shape[2] != base.shape[2]) {
    return "updates need the shape [outer, k, inner]";
  }
  if (!is_int(indices.dtype)) return "indices need i32 or i64";
  if (base.dtype == BP_BOOL) return "bool cannot be added";
  return updates.dtype != base.dtype || y.dtype != base.dtype ? "base, updates and y differ in dtype" : nullptr;
}

/// Positions of a window along one axis: floor((in + low + high - dilation (k - 1) - 1) / stride) + 1, at least 0.
inline int64_t window_positions(int64_t in, int64_t k, int64_t stride, int64_t dilation, int64_t low, int64_t high) {
  const int64_t room = in + low + high - dilation * (k - 1) - 1;
  return room < 0 ? 0 : room / stride + 1;
}

/// Window attributes beyond this are nonsense, and their products would overflow.
inline bool sane(int64_t value) { return value > -(int64_t{1} << 31) && value < int64_t{1} << 31; }

inline const char* convolution(const bp_op& op) {
  const auto& a = attrs<bp_convolution_attrs>(op);
  const bool data = op.code == BP_OP_CONVOLUTION_GRAD_DATA, filter = op.code == BP_OP_CONVOLUTION_GRAD_FILTER;
  const bp_tensor_desc& x = data ? op.outputs[0] : op.inputs[0];
  const bp_tensor_desc& w = filter ? op.outputs[0] : op.inputs[1];
  const bp_tensor_desc& y = data ? op.inputs[0] : filter ? op.inputs[1] : op.outputs[0];
  if (a.spatial_rank < 1 || a.spatial_rank > 3) return "spatial_rank is 1, 2 or 3";
  const uint32_t rank = a.spatial_rank + 2;
  if (x.rank != rank || w.rank != rank || y.rank != rank) return "operands need rank spatial_rank + 2";
  if (a.groups < 1 || x.shape[1] % a.groups != 0 || w.shape[0] % a.groups != 0) {
    return "groups have to divide the channels of x and w";
  }
  if (w.shape[1] != x.shape[1] / a.groups) return "w needs the shape [O, C / groups, k...]";
  if (y.shape[0] != x.shape[0] || y.shape[1] != w.shape[0]) return "y needs the shape [N, O, spatial...]";
  for (uint32_t i = 0; i < a.spatial_rank; ++i) {
    if (!sane(a.stride[i]) || !sane(a.dilation[i]) || !sane(a.pad_low[i]) || !sane(a.pad_high[i]) ||
        !sane(w.shape[2 + i])) {
      return "an attribute or the filter is too large";
    }
    if (a.stride[i] < 1 || a.dilation[i] < 1 || w.shape[2 + i] < 1) return "stride, dilation and filter are at least 1";
    if (y.shape[2 + i] != window_positions(x.shape[2 + i], w.shape[2 + i], a.stride[i], a.dilation[i], a.pad_low[i],
                                           a.pad_high[i])) {
      return "the spatial extents do not fit x, filter, stride, dilation and padding";
    }
  }
  if (op.inputs[0].dtype != op.inputs[1].dtype) return "the inputs differ in dtype";
  if (op.inputs[0].dtype == BP_BOOL) return "bool cannot be multiplied";
  return op.program == nullptr && op.outputs[0].dtype != op.inputs[0].dtype ? "the output needs the inputs' dtype"
                                                                             : nullptr;
}

inline const char* pool(const bp_op& op) {
  const auto& a = attrs<bp_pool_attrs>(op);
  const bool grad = op.code == BP_OP_POOL_GRAD;
  const bp_tensor_desc &x = op.inputs[0], &y = grad ? op.inputs[1] : op.outputs[0];
  if (a.kind != BP_POOL_MAX && a.kind != BP_POOL_AVERAGE) return "the kind is unknown";
  if (a.spatial_rank < 1 || a.spatial_rank > 3) return "spatial_rank is 1, 2 or 3";
  if (x.rank != a.spatial_rank + 2 || y.rank != x.rank) return "operands need rank spatial_rank + 2";
  if (y.shape[0] != x.shape[0] || y.shape[1] != x.shape[1]) return "x and y differ in batch or channels";
  for (uint32_t i = 0; i < a.spatial_rank; ++i) {
    if (!sane(a.window[i]) || !sane(a.stride[i]) || !sane(a.dilation[i])) return "an attribute is too large";
    if (a.window[i] < 1 || a.stride[i] < 1 || a.dilation[i] < 1) return "window, stride and dilation are at least 1";
    const int64_t reach = a.dilation[i] * (a.window[i] - 1) + 1;
    if (a.pad_low[i] < 0 || a.pad_low[i] >= reach || a.pad_high[i] < 0 || a.pad_high[i] >= reach) {
      return "padding has to be at least 0 and less than the window's extent";
    }
    if (y.shape[2 + i] != window_positions(x.shape[2 + i], a.window[i], a.stride[i], a.dilation[i], a.pad_low[i],
                                           a.pad_high[i])) {
      return "the spatial extents do not fit x, window, stride, dilation and padding";
    }
  }
  if ((grad || a.kind == BP_POOL_AVERAGE) && !is_float(x.dtype)) return "average and gradient need floats";
  if (grad && (!same_shape(op.inputs[2], y) || !same_shape(op.outputs[0], x))) return "dy needs y's shape, dx x's";
  const bool grad_dtypes = !grad || (op.inputs[2].dtype == x.dtype && op.outputs[0].dtype == x.dtype);
  return y.dtype == x.dtype && grad_dtypes ? nullptr : "operands differ in dtype";
}

/// softmax and log_softmax with gradients.
inline const char* softmax(const bp_op& op) {
  const bp_tensor_desc& y = op.outputs[0];
  if (attrs<bp_axis_attrs>(op).axis >= y.rank) return "axis is not an axis of x";
  if (!is_float(y.dtype)) return "needs floats";
  for (uint32_t i = 0; i < op.num_inputs; ++i) {
    if (!same_shape(op.inputs[i], y) || op.inputs[i].dtype != y.dtype) return "operands need one shape and dtype";
  }
  return nullptr;
}

inline const char* normalize(const bp_op& op) {
  const auto& a = attrs<bp_normalize_attrs>(op);
  const bool grad = op.code == BP_OP_NORMALIZE_GRAD;
  const bp_tensor_desc &x = op.inputs[grad ? 1 : 0], &y = grad ? op.inputs[0] : op.outputs[0];
  const bp_tensor_desc& scale = op.inputs[grad ? 4 : 1];
  if (a.kind != BP_NORMALIZE_MEAN_VARIANCE && a.kind != BP_NORMALIZE_RMS) return "the kind is unknown";
  if ((a.axes >> x.rank) != 0) return "axes name an axis that x lacks";
  if (!is_float(x.dtype)) return "needs floats";
  if (!same_shape(x, y) || y.dtype != x.dtype) return "x and y need one shape and dtype";
  const auto is_parameter = [&](const bp_tensor_desc& p) {
    return p.dtype == x.dtype || is_accumulator(p.dtype, x.dtype);
  };
  if (!same_shape(scale, x) || !is_parameter(scale)) return "scale needs x's shape (stride 0) and x's dtype or f32";
  if (!grad && (!same_shape(op.inputs[2], x) || !is_parameter(op.inputs[2]))) {
    return "shift needs x's shape (stride 0) and x's dtype or f32";
  }
  if (!grad && op.num_outputs == 2) return "outputs are y, or y, mean and rstd";
  for (uint32_t i = 0; i < 2 && (grad || op.num_outputs == 3); ++i) {
    const bp_tensor_desc& statistic = grad ? op.inputs[2 + i] : op.outputs[1 + i];
    if (!is_reduced(x, statistic, a.axes) || !is_accumulator(statistic.dtype, x.dtype)) {
      return "mean and rstd are f32 (f64 for f64) with extent 1 on the axes";
    }
  }
  if (!grad) return nullptr;
  if (!same_shape(op.outputs[0], x) || op.outputs[0].dtype != x.dtype) return "dx needs x's shape and dtype";
  for (uint32_t i = 1; i < 3; ++i) {
    const bp_tensor_desc& d = op.outputs[i];
    if (d.rank != x.rank || !is_parameter(d)) return "dscale and dshift need x's rank and x's dtype or f32";
    for (uint32_t axis = 0; axis < x.rank; ++axis) {
      if (d.shape[axis] != 1 && d.shape[axis] != x.shape[axis]) return "dscale and dshift need extent 1 or x's";
    }
  }
  return nullptr;
}

inline bool has_shape(const bp_tensor_desc& d, int64_t s0, int64_t s1, int64_t s2, int64_t s3) {
  return d.rank == 4 && d.shape[0] == s0 && d.shape[1] == s1 && d.shape[2] == s2 && d.shape[3] == s3;
}

inline const char* attention(const bp_op& op) {
  const bool grad = op.code == BP_OP_ATTENTION_GRAD;
  const bp_tensor_desc* in = op.inputs;
  const bp_tensor_desc &q = in[grad ? 1 : 0], &k = in[grad ? 2 : 1], &v = in[grad ? 3 : 2];
  const bp_tensor_desc& o = grad ? in[4] : op.outputs[0];
  if (q.rank != 4 || k.rank != 4 || v.rank != 4) return "q, k and v need rank 4";
  const int64_t batch = q.shape[0], heads = q.shape[1], queries = q.shape[2], keys = k.shape[2];
  if (!has_shape(k, batch, k.shape[1], keys, q.shape[3])) return "k needs the shape [B, Hk, Sk, D]";
  if (!has_shape(v, batch, k.shape[1], keys, v.shape[3])) return "v needs the shape [B, Hk, Sk, Dv]";
  if (k.shape[1] < 1 ? heads != 0 : heads % k.shape[1] != 0) return "q's heads have to be a multiple of k's";
  if (!has_shape(o, batch, heads, queries, v.shape[3])) return "o needs the shape [B, H, Sq, Dv]";
  if (!is_float(q.dtype) || k.dtype != q.dtype || v.dtype != q.dtype || o.dtype != q.dtype) {
    return "q, k, v and o need one float dtype";
  }
  const bp_tensor_desc* lse = grad ? &in[5] : op.num_outputs == 2 ? &op.outputs[1] : nullptr;
  if (lse != nullptr && (lse->rank != 3 || lse->shape[0] != batch || lse->shape[1] != heads ||
                         lse->shape[2] != queries || !is_accumulator(lse->dtype, q.dtype))) {
    return "lse is f32 (f64 for f64) of shape [B, H, Sq]";
  }
  const uint32_t mask = grad ? 6 : 3;
  if (op.num_inputs > mask &&
      (!has_shape(in[mask], batch, heads, queries, keys) || (!is_float(in[mask].dtype) && in[mask].dtype != BP_BOOL))) {
    return "mask is a float or bool of shape [B, H, Sq, Sk] (stride 0)";
  }
  if (!grad) return nullptr;
  if (!same_shape(in[0], o) || in[0].dtype != q.dtype) return "do needs o's shape and dtype";
  const bp_tensor_desc* wanted[3] = {&q, &k, &v};
  for (int i = 0; i < 3; ++i) {
    if (!same_shape(op.outputs[i], *wanted[i]) || op.outputs[i].dtype != q.dtype) return "dq, dk, dv are like q, k, v";
  }
  return nullptr;
}

inline const char* random(const bp_op& op) {
  const auto& a = attrs<bp_random_attrs>(op);
  const bp_tensor_desc &key = op.inputs[0], &y = op.outputs[0];
  if (key.rank != 1 || key.shape[0] != 4 || key.dtype != BP_I32) return "key is i32[4]";
  if (a.kind == BP_RANDOM_BITS) return y.dtype == BP_I32 ? nullptr : "bits are i32";
  if (a.kind == BP_RANDOM_UNIFORM) return y.dtype == BP_F32 ? nullptr : "uniform numbers are f32";
  return "the kind is unknown";
}

/// sort and top_k.
inline const char* sort(const bp_op& op) {
  const uint32_t axis = attrs<bp_sort_attrs>(op).axis;
  const bp_tensor_desc &x = op.inputs[0], &values = op.outputs[0], &indices = op.outputs[1];
  if (axis >= x.rank) return "axis is not an axis of x";
  if (x.shape[axis] > INT32_MAX) return "the index does not fit i32";
  bp_tensor_desc expected = x;
  if (op.code == BP_OP_TOP_K) expected.shape[axis] = values.shape[axis];
  if (!same_shape(values, expected) || !same_shape(indices, expected)) return "values and indices do not fit x";
  if (values.shape[axis] > x.shape[axis]) return "k is larger than x's extent";
  if (values.dtype != x.dtype) return "values need x's dtype";
  return indices.dtype == BP_I32 ? nullptr : "indices are i32";
}

inline const char* check(const bp_op& op) {
  switch (op.code) {
    case BP_OP_POINTWISE: return pointwise(op);
    case BP_OP_REDUCE: return reduce(op);
    case BP_OP_MATMUL: return matmul(op);
    case BP_OP_GATHER: return gather(op);
    case BP_OP_SCATTER_ADD: return scatter_add(op);
    case BP_OP_CONVOLUTION:
    case BP_OP_CONVOLUTION_GRAD_DATA:
    case BP_OP_CONVOLUTION_GRAD_FILTER: return convolution(op);
    case BP_OP_POOL:
    case BP_OP_POOL_GRAD: return pool(op);
    case BP_OP_SOFTMAX:
    case BP_OP_SOFTMAX_GRAD:
    case BP_OP_LOG_SOFTMAX:
    case BP_OP_LOG_SOFTMAX_GRAD: return softmax(op);
    case BP_OP_NORMALIZE:
    case BP_OP_NORMALIZE_GRAD: return normalize(op);
    case BP_OP_ATTENTION:
    case BP_OP_ATTENTION_GRAD: return attention(op);
    case BP_OP_RANDOM: return random(op);
    case BP_OP_SORT:
    case BP_OP_TOP_K: return sort(op);
    default: return nullptr;
  }
}

}  // namespace backplane::sdk::rules
