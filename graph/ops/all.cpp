// SPDX-License-Identifier: Apache-2.0
// The list of ops. Composites refer only to ops above themselves, so decomposition ends.

#include "backplane/graph/ops.h"

namespace backplane::graph {

namespace {

constexpr const OpDef* kOps[] = {
    // source
    &op::input, &op::constant, &op::full,
    // scalar
    &op::cast, &op::neg, &op::abs, &op::logical_not, &op::exp, &op::log, &op::sqrt, &op::rsqrt, &op::sin, &op::cos,
    &op::tanh, &op::erf, &op::expm1, &op::log1p, &op::floor, &op::ceil, &op::add, &op::sub, &op::mul, &op::div, &op::rem,
    &op::pow, &op::maximum, &op::minimum, &op::eq, &op::ne, &op::lt, &op::le, &op::bit_and, &op::bit_or, &op::bit_xor,
    &op::shift_left, &op::shift_right, &op::where,
    // view
    &op::reshape, &op::permute, &op::expand, &op::slice, &op::flip, &op::window, &op::stop_gradient,
    // assemble
    &op::copy, &op::pad, &op::concat, &op::place, &op::slice_update,
    // primitive, and the constant that the arg reductions below use
    &op::iota, &op::pointwise, &op::reduce_sum, &op::reduce_max, &op::reduce_prod, &op::batch_matmul, &op::gather_rows,
    &op::scatter_add_rows,
    // composite: reductions, products, indices
    &op::reduce_min, &op::reduce_argmax, &op::reduce_argmin, &op::sum, &op::max, &op::min, &op::prod, &op::mean,
    &op::variance, &op::argmax, &op::argmin, &op::logsumexp, &op::batch_matmul_f8, &op::matmul, &op::gather,
    &op::scatter_add, &op::take_along_axis, &op::one_hot, &op::embedding, &op::stack, &op::window_sum, &op::sort, &op::top_k,
    // composite: pointwise
    &op::gt, &op::ge, &op::square, &op::reciprocal, &op::sign, &op::relu, &op::leaky_relu, &op::elu, &op::sigmoid,
    &op::silu, &op::softplus, &op::gelu, &op::clip,
    // composite: random
    &op::random_bits, &op::random_uniform, &op::random_normal, &op::dropout,
    // composite with native forms: networks
    &op::softmax, &op::softmax_grad, &op::log_softmax, &op::log_softmax_grad, &op::cross_entropy,
    &op::sparse_cross_entropy, &op::mse_loss, &op::convolution, &op::convolution_grad_data,
    &op::convolution_grad_filter, &op::pool, &op::pool_grad, &op::normalize, &op::normalize_grad, &op::layer_norm,
    &op::rms_norm, &op::batch_norm_inference, &op::attention, &op::attention_grad,
    // deferred
    &op::gradients,
};

}  // namespace

std::span<const OpDef* const> all_ops() { return kOps; }

}  // namespace backplane::graph
