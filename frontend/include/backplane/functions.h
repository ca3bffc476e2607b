// SPDX-License-Identifier: Apache-2.0
// The operations as functions of tensors. Shapes broadcast and dtypes promote as in NumPy, except that a number never
// widens a tensor's dtype. Formulas, shapes and attributes of every op stand in docs/ops.md. Negative axes count from the
// end. Every function throws Error with the operands, the caller's line and a suggestion when they do not fit.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "backplane/graph/attrs.h"
#include "backplane/tensor.h"

namespace backplane {

namespace graph {
struct OpDef;
}

/// An operand that remembers the line where it was used; tensors, variables and numbers convert to it.
struct In {
  Tensor tensor;
  double number = 0;
  bool is_number = false;
  Here here;
  In(const Tensor& t, Here h = {}) : tensor(t), here(h) {}  // NOLINT: implicit on purpose
  template <class T>
    requires std::is_arithmetic_v<T>
  In(T n, Here h = {}) : number(static_cast<double>(n)), is_number(true), here(h) {}  // NOLINT
  template <class V>
    requires requires(const V& v, Here h) { { v.read(h) }; }
  In(const V& v, Here h = {}) : tensor(v.read(h)), here(h) {}  // NOLINT
};

/// Applies any op of the registry: what all functions below do.
std::vector<Tensor> apply(const graph::OpDef& op, std::span<const graph::AttrArg> attrs, std::span<const Tensor> inputs,
                          Here here = {});
Tensor apply1(const graph::OpDef& op, std::initializer_list<graph::AttrArg> attrs, std::initializer_list<In> inputs, Here here);

using Axes = std::vector<int64_t>;

Tensor operator+(const In& a, const In& b);
Tensor operator-(const In& a, const In& b);
Tensor operator*(const In& a, const In& b);
Tensor operator/(const In& a, const In& b);
Tensor operator-(const In& a);
Tensor& operator+=(Tensor& a, const In& b);
Tensor& operator-=(Tensor& a, const In& b);
Tensor& operator*=(Tensor& a, const In& b);
Tensor& operator/=(Tensor& a, const In& b);

// Making tensors
Tensor full(const Shape& shape, double value, DType dtype = f32, const Device& device = default_device());
Tensor zeros(const Shape& shape, DType dtype = f32, const Device& device = default_device());
Tensor ones(const Shape& shape, DType dtype = f32, const Device& device = default_device());
Tensor arange(int64_t n, DType dtype = i32, const Device& device = default_device());
Tensor zeros_like(const In& x);
Tensor ones_like(const In& x);

// Elementwise
Tensor exp(const In& x);
Tensor log(const In& x);
Tensor sqrt(const In& x);
Tensor rsqrt(const In& x);
Tensor sin(const In& x);
Tensor cos(const In& x);
Tensor tanh(const In& x);
Tensor erf(const In& x);
Tensor abs(const In& x);
Tensor floor(const In& x);
Tensor ceil(const In& x);
Tensor square(const In& x);
Tensor reciprocal(const In& x);
Tensor sign(const In& x);
Tensor pow(const In& x, const In& y);
Tensor maximum(const In& a, const In& b);
Tensor minimum(const In& a, const In& b);
Tensor equal(const In& a, const In& b);
Tensor not_equal(const In& a, const In& b);
Tensor less(const In& a, const In& b);
Tensor less_equal(const In& a, const In& b);
Tensor greater(const In& a, const In& b);
Tensor greater_equal(const In& a, const In& b);
Tensor logical_not(const In& x);
Tensor logical_and(const In& a, const In& b);
Tensor logical_or(const In& a, const In& b);
Tensor where(const In& condition, const In& a, const In& b);
Tensor cast(const In& x, DType dtype);
Tensor clip(const In& x, double low, double high);
Tensor relu(const In& x);
Tensor leaky_relu(const In& x, double slope = 0.01);
Tensor elu(const In& x, double alpha = 1.0);
Tensor sigmoid(const In& x);
Tensor silu(const In& x);
Tensor softplus(const In& x);
/// x * Phi(x); `approximate` uses the tanh formula.
Tensor gelu(const In& x, bool approximate = false);
Tensor stop_gradient(const In& x);

// Reductions; no axes means all of them
Tensor sum(const In& x, Axes axes = {}, bool keepdims = false);
Tensor mean(const In& x, Axes axes = {}, bool keepdims = false);
Tensor max(const In& x, Axes axes = {}, bool keepdims = false);
Tensor min(const In& x, Axes axes = {}, bool keepdims = false);
Tensor prod(const In& x, Axes axes = {}, bool keepdims = false);
Tensor variance(const In& x, Axes axes = {}, bool keepdims = false);
Tensor logsumexp(const In& x, Axes axes = {}, bool keepdims = false);
Tensor argmax(const In& x, int64_t axis = -1, bool keepdims = false);
Tensor argmin(const In& x, int64_t axis = -1, bool keepdims = false);

// Shape
Tensor reshape(const In& x, const Shape& shape);
Tensor permute(const In& x, Axes axes);
Tensor transpose(const In& x);  ///< swaps the last two axes
Tensor expand(const In& x, const Shape& shape);
/// Elements start, start + step, ... before stop along each of `axes`; negative positions count from the end.
Tensor slice(const In& x, int64_t axis, int64_t start, int64_t stop, int64_t step = 1);
Tensor flip(const In& x, Axes axes);
Tensor unsqueeze(const In& x, int64_t axis);
Tensor squeeze(const In& x, int64_t axis);
Tensor flatten(const In& x, int64_t first_axis = 1);
Tensor pad(const In& x, Axes low, Axes high, double value = 0);
Tensor concat(std::span<const Tensor> xs, int64_t axis, Here here = {});
Tensor stack(std::span<const Tensor> xs, int64_t axis, Here here = {});

// Products and indices
Tensor matmul(const In& a, const In& b);
Tensor gather(const In& x, const In& indices, int64_t axis = 0);
Tensor scatter_add(const In& base, const In& indices, const In& updates, int64_t axis = 0);
Tensor take_along_axis(const In& x, const In& indices, int64_t axis);
struct Sorted {
  Tensor values;
  Tensor indices;  ///< i32, where the values were along the axis
};
/// Stable; NaN is larger than every number.
Sorted sort(const In& x, int64_t axis = -1, bool descending = false);
/// The k largest along the axis, the largest first; or the k smallest.
Sorted top_k(const In& x, int64_t k, int64_t axis = -1, bool descending = true);
Tensor one_hot(const In& indices, int64_t depth, DType dtype = f32);
Tensor embedding(const In& table, const In& indices);

// Networks
Tensor softmax(const In& x, int64_t axis = -1);
Tensor log_softmax(const In& x, int64_t axis = -1);
/// Mean over rows of -sum(targets * log_softmax(logits)), classes on the last axis.
Tensor cross_entropy(const In& logits, const In& targets);
/// The same with integer class labels.
Tensor sparse_cross_entropy(const In& logits, const In& labels);
Tensor mse_loss(const In& x, const In& target);

struct ConvolutionOptions {
  Axes stride, padding, dilation;  ///< one entry per spatial axis, or one for all; defaults 1, 0, 1
  int64_t groups = 1;
};
/// x[N,C,...], w[O,C/groups,...]; 1 to 3 spatial axes.
Tensor convolution(const In& x, const In& w, const ConvolutionOptions& options = {});
struct PoolOptions {
  Axes window, stride, padding;  ///< stride defaults to the window
};
Tensor max_pool(const In& x, const PoolOptions& options);
Tensor average_pool(const In& x, const PoolOptions& options);
Tensor layer_norm(const In& x, const In& scale, const In& shift, double epsilon = 1e-5);
Tensor rms_norm(const In& x, const In& scale, double epsilon = 1e-6);
/// q[B,H,Sq,D], k[B,Hk,Sk,D], v[B,Hk,Sk,Dv], optional mask (additive or bool) broadcast to [B,H,Sq,Sk].
Tensor attention(const In& q, const In& k, const In& v, const std::optional<Tensor>& mask = {}, bool causal = false,
                 double scale = 0);

}  // namespace backplane
