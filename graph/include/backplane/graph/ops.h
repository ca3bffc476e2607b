// SPDX-License-Identifier: Apache-2.0
// The ops as C++ objects, and the functions on Syms that decompositions and VJPs are written with.
#pragma once

#include "backplane/graph/op_def.h"

namespace backplane::graph {

namespace op {
// source
extern const OpDef input, constant, full;
// scalar: one instruction each; operands broadcast as in NumPy and have one dtype
extern const OpDef cast, neg, abs, logical_not, exp, log, sqrt, rsqrt, sin, cos, tanh, erf, expm1, log1p, floor, ceil;
extern const OpDef add, sub, mul, div, rem, pow, maximum, minimum, eq, ne, lt, le, bit_and, bit_or, bit_xor, shift_left,
    shift_right, where;
// view
extern const OpDef reshape, permute, expand, slice, flip, window;
// assemble
extern const OpDef pad, concat, place, slice_update;
// primitive; reductions keep reduced axes with extent 1; batch_matmul wants equal ranks and equal batch extents
extern const OpDef pointwise, reduce_sum, reduce_max, reduce_min, reduce_prod, reduce_argmax, reduce_argmin, batch_matmul,
    gather_rows, scatter_add_rows;
// composite: indices, reductions with keepdims, products
extern const OpDef copy, iota, stop_gradient, sum, max, min, prod, mean, variance, argmax, argmin, logsumexp,
    batch_matmul_f8, matmul, gather, scatter_add, take_along_axis, sort, top_k, one_hot, embedding, stack, window_sum;
// composite: pointwise
extern const OpDef gt, ge, square, reciprocal, sign, relu, leaky_relu, elu, sigmoid, silu, softplus, gelu, clip;
// composite: random
extern const OpDef random_bits, random_uniform, random_normal, dropout;
// composite with native forms: networks
extern const OpDef softmax, softmax_grad, log_softmax, log_softmax_grad, cross_entropy, sparse_cross_entropy, mse_loss;
extern const OpDef convolution, convolution_grad_data, convolution_grad_filter, pool, pool_grad;
extern const OpDef normalize, normalize_grad, layer_norm, rms_norm, batch_norm_inference;
extern const OpDef attention, attention_grad;
// deferred
extern const OpDef gradients;
}  // namespace op

// Functions used inside op definitions. Binary ones broadcast; both operands have one dtype. -------------------------

Sym operator+(Sym a, Sym b);
Sym operator-(Sym a, Sym b);
Sym operator*(Sym a, Sym b);
Sym operator/(Sym a, Sym b);
Sym operator-(Sym a);
// With a literal, which takes the tensor's dtype.
Sym operator+(Sym a, double b);
Sym operator-(Sym a, double b);
Sym operator-(double a, Sym b);
Sym operator*(Sym a, double b);
Sym operator*(double a, Sym b);
Sym operator/(Sym a, double b);
Sym operator/(double a, Sym b);

Sym unary(const OpDef& op, Sym x);
Sym binary(const OpDef& op, Sym a, Sym b);
Sym exp(Sym x);
Sym log(Sym x);
Sym sqrt(Sym x);
Sym rsqrt(Sym x);
Sym tanh(Sym x);
Sym maximum(Sym a, Sym b);
Sym minimum(Sym a, Sym b);
Sym where(Sym condition, Sym a, Sym b);
Sym cast(Sym x, DType dtype);  ///< x itself when it has that dtype

/// Scalar constant of rank 0 (broadcasts everywhere).
Sym scalar(Builder& builder, double value, DType dtype);
Sym full(Builder& builder, double value, DType dtype, const Shape& shape);
Sym zeros_like(Sym x);
/// 0, 1, ..., n - 1 as a constant.
Sym iota(Builder& builder, int64_t n, DType dtype);
Sym constant_i32(Builder& builder, const Shape& shape, std::span<const int32_t> values);

Sym reshape(Sym x, const Shape& shape);
Sym permute(Sym x, std::span<const int64_t> axes);
Sym transpose(Sym x);  ///< swaps the last two axes
Sym expand(Sym x, const Shape& shape);
Sym slice(Sym x, std::span<const int64_t> start, std::span<const int64_t> stop, std::span<const int64_t> step);
Sym unsqueeze(Sym x, int axis);
Sym squeeze(Sym x, int axis);
Sym copy(Sym x);

/// Reductions that keep the reduced axes with extent 1. Axes are in 0 ... rank - 1; none means x itself.
Sym reduce_sum(Sym x, std::span<const int64_t> axes);
Sym reduce_max(Sym x, std::span<const int64_t> axes);
Sym reduce_mean(Sym x, std::span<const int64_t> axes);
Sym matmul(Sym a, Sym b);

/// An attribute axis counted from the end when negative; throws through fail() when out of range.
int64_t normalize_axis(int64_t axis, int rank, std::string_view op);
/// Sorted unique non-negative axes; an empty list means all axes.
std::vector<int64_t> normalize_axes(std::span<const int64_t> axes, int rank, std::string_view op);
/// NumPy broadcasting of shapes (dyn matches dyn or 1); throws through args.fail with both operands.
Shape broadcast_shapes(const Shape& a, const Shape& b, const InferArgs& args);

}  // namespace backplane::graph
