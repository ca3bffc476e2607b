// SPDX-License-Identifier: Apache-2.0
// apply(): numbers become tensors, dtypes are promoted where the op asks for it, and the operands decide the mode.
#include "backplane/functions.h"

#include <algorithm>
#include <cmath>

#include "backplane/graph/ops.h"
#include "graph_context.h"
#include "tensor_impl.h"

namespace backplane {

namespace {

using graph::AttrArg;
using graph::Attrs;
using graph::OpDef;

GraphContext* context_of(std::span<const Tensor> inputs) {
  for (const Tensor& x : inputs) {
    if (x.is_symbolic()) return x.impl()->context.get();
  }
  return nullptr;
}

std::vector<Tensor> dispatch(const OpDef& op, std::span<const AttrArg> args, std::span<const Tensor> inputs, SourceLoc loc,
                             const graph::StreamPtr& stream = nullptr) {
  for (const Tensor& x : inputs) {
    if (!x.defined()) backplane::fail(op.name, "an operand is undefined", {}, loc, "give it a value first");
  }
  Attrs attrs(op.name, op.attrs, args);
  GraphContext* context = context_of(inputs);
  if (context == nullptr) return eager_apply(op, attrs, inputs, loc, stream);
  std::vector<graph::Value> values;
  for (const Tensor& x : inputs) values.push_back(context->lift(x, loc));
  const graph::NodeId id = context->graph().add(op, std::move(attrs), values, loc);
  std::vector<Tensor> results;
  for (uint32_t i = 0; i < context->graph().node(id).num_out; ++i) results.push_back(context->tensor({id, i}));
  return results;
}

Tensor cast_to(const Tensor& x, DType dtype, SourceLoc loc) {
  if (x.dtype() == dtype) return x;
  const AttrArg args[] = {{"dtype", dtype}};
  return dispatch(graph::op::cast, args, std::span(&x, 1), loc).front();
}

/// The first operand that takes part in promotion: the condition in front of a select stays bool.
size_t first_promoted(const OpDef& op) { return op.scalar_code == BP_S_SELECT ? 1 : 0; }

/// Nothing to promote. Undefined operands are left to dispatch(), which refuses them.
bool same_dtypes(const OpDef& op, std::span<const Tensor> inputs) {
  for (const Tensor& x : inputs) {
    if (!x.defined()) return true;
  }
  for (size_t i = first_promoted(op) + 1; i < inputs.size(); ++i) {
    if (inputs[i].dtype() != inputs[i - 1].dtype()) return false;
  }
  return true;
}

/// Operands in their common dtype.
void promote_operands(const OpDef& op, std::vector<Tensor>& inputs, SourceLoc loc) {
  const size_t first = first_promoted(op);
  DType common = inputs[first].dtype();
  for (size_t i = first + 1; i < inputs.size(); ++i) common = promote(common, inputs[i].dtype());
  for (size_t i = first; i < inputs.size(); ++i) inputs[i] = cast_to(inputs[i], common, loc);
}

/// The dtype of a number beside tensors: theirs, or f32 where that cannot hold it.
DType literal_dtype(std::span<const In> inputs, double number) {
  std::optional<DType> common;
  for (const In& in : inputs) {
    if (in.is_number || !in.tensor.defined()) continue;
    // The condition of a where says nothing about the dtype of its branches.
    const DType own = in.tensor.dtype();
    common = common ? promote(*common, own) : own;
  }
  if (!common) return f32;
  const bool whole = std::nearbyint(number) == number;
  if (*common == boolean) return whole ? i32 : f32;
  if (is_integer(*common) && !whole) return f32;
  return *common;
}

Tensor number_tensor(double number, DType dtype, std::span<const In> inputs) {
  for (const In& in : inputs) {
    if (in.is_number || !in.tensor.defined()) continue;
    if (!in.tensor.is_symbolic()) return scalar_tensor(number, dtype, in.tensor.impl()->storage->stream());
    GraphContext& context = *in.tensor.impl()->context;
    const AttrArg args[] = {{"value", number},
                            {"int_value", static_cast<int64_t>(is_real(dtype) ? 0.0 : number)},
                            {"dtype", dtype}};
    const OpDef& full = graph::op::full;
    return context.tensor({context.graph().add(full, Attrs(full.name, full.attrs, args), {}, in.here.loc), 0});
  }
  return scalar_tensor(number, dtype, default_device().stream());
}

std::vector<Tensor> tensors_of(std::span<const In> inputs) {
  std::vector<Tensor> tensors;
  tensors.reserve(inputs.size());
  for (const In& in : inputs) {
    tensors.push_back(in.is_number ? number_tensor(in.number, literal_dtype(inputs, in.number), inputs) : in.tensor);
  }
  return tensors;
}

Tensor call(const OpDef& op, std::initializer_list<AttrArg> attrs, std::initializer_list<In> inputs) {
  return apply1(op, attrs, inputs, inputs.begin()->here);
}

int64_t axis_of(const In& x, int64_t axis, const char* op) { return graph::normalize_axis(axis, x.tensor.rank(), op); }

Axes spread(const Axes& values, int rank, int64_t fallback, const char* op, const char* what, SourceLoc loc) {
  if (values.empty()) return Axes(static_cast<size_t>(rank), fallback);
  if (values.size() == 1) return Axes(static_cast<size_t>(rank), values[0]);
  if (values.size() != static_cast<size_t>(rank)) {
    backplane::fail(op, std::string(what) + " has " + std::to_string(values.size()) + " entries for " + std::to_string(rank) +
                            " spatial axes", {}, loc, "give one entry per spatial axis, or one for all");
  }
  return values;
}

Tensor pool_with(const In& x, const PoolOptions& options, int64_t kind, const char* name) {
  const int rank = x.tensor.rank() - 2;
  const SourceLoc loc = x.here.loc;
  const Axes window = spread(options.window, rank, 2, name, "window", loc);
  const Axes stride = options.stride.empty() ? window : spread(options.stride, rank, 1, name, "stride", loc);
  const Axes padding = spread(options.padding, rank, 0, name, "padding", loc);
  return call(graph::op::pool,
              {{"kind", kind}, {"window", window}, {"stride", stride}, {"pad_low", padding}, {"pad_high", padding}}, {x});
}

}  // namespace

std::vector<Tensor> apply(const OpDef& op, std::span<const AttrArg> attrs, std::span<const Tensor> inputs, Here here) {
  if (!op.promotes || same_dtypes(op, inputs)) return dispatch(op, attrs, inputs, here.loc);
  std::vector<Tensor> promoted(inputs.begin(), inputs.end());
  promote_operands(op, promoted, here.loc);
  return dispatch(op, attrs, promoted, here.loc);
}

Tensor apply1(const OpDef& op, std::initializer_list<AttrArg> attrs, std::initializer_list<In> inputs, Here here) {
  const std::vector<Tensor> tensors = tensors_of(std::span(inputs.begin(), inputs.size()));
  return apply(op, std::span(attrs.begin(), attrs.size()), tensors, here).front();
}

namespace ops = graph::op;

Tensor operator+(const In& a, const In& b) { return call(ops::add, {}, {a, b}); }
Tensor operator-(const In& a, const In& b) { return call(ops::sub, {}, {a, b}); }
Tensor operator*(const In& a, const In& b) { return call(ops::mul, {}, {a, b}); }
Tensor operator/(const In& a, const In& b) { return call(ops::div, {}, {a, b}); }
Tensor operator-(const In& a) { return call(ops::neg, {}, {a}); }
Tensor& operator+=(Tensor& a, const In& b) { return a = a + b; }
Tensor& operator-=(Tensor& a, const In& b) { return a = a - b; }
Tensor& operator*=(Tensor& a, const In& b) { return a = a * b; }
Tensor& operator/=(Tensor& a, const In& b) { return a = a / b; }

Tensor full(const Shape& shape, double value, DType dtype, const Device& device) {
  const AttrArg args[] = {{"value", value},
                          {"int_value", static_cast<int64_t>(is_real(dtype) ? 0.0 : value)},
                          {"dtype", dtype},
                          {"shape", shape.vector()}};
  return dispatch(ops::full, args, {}, {}, device.stream()).front();
}
Tensor zeros(const Shape& shape, DType dtype, const Device& device) { return full(shape, 0, dtype, device); }
Tensor ones(const Shape& shape, DType dtype, const Device& device) { return full(shape, 1, dtype, device); }
Tensor arange(int64_t n, DType dtype, const Device& device) {
  const AttrArg args[] = {{"n", n}, {"dtype", dtype}};
  return dispatch(ops::iota, args, {}, {}, device.stream()).front();
}
Tensor zeros_like(const In& x) {
  if (!x.tensor.is_symbolic()) return zeros(x.tensor.shape(), x.tensor.dtype(), x.tensor.device());
  // The extents may not be known yet, so the zeros take them from x.
  const Tensor zero = number_tensor(0, x.tensor.dtype(), std::span(&x, 1));
  return where(equal(x, x), zero, zero);
}
Tensor ones_like(const In& x) { return zeros_like(x) + 1.0; }

Tensor exp(const In& x) { return call(ops::exp, {}, {x}); }
Tensor log(const In& x) { return call(ops::log, {}, {x}); }
Tensor sqrt(const In& x) { return call(ops::sqrt, {}, {x}); }
Tensor rsqrt(const In& x) { return call(ops::rsqrt, {}, {x}); }
Tensor sin(const In& x) { return call(ops::sin, {}, {x}); }
Tensor cos(const In& x) { return call(ops::cos, {}, {x}); }
Tensor tanh(const In& x) { return call(ops::tanh, {}, {x}); }
Tensor erf(const In& x) { return call(ops::erf, {}, {x}); }
Tensor abs(const In& x) { return call(ops::abs, {}, {x}); }
Tensor floor(const In& x) { return call(ops::floor, {}, {x}); }
Tensor ceil(const In& x) { return call(ops::ceil, {}, {x}); }
Tensor square(const In& x) { return call(ops::square, {}, {x}); }
Tensor reciprocal(const In& x) { return call(ops::reciprocal, {}, {x}); }
Tensor sign(const In& x) { return call(ops::sign, {}, {x}); }
Tensor pow(const In& x, const In& y) { return call(ops::pow, {}, {x, y}); }
Tensor maximum(const In& a, const In& b) { return call(ops::maximum, {}, {a, b}); }
Tensor minimum(const In& a, const In& b) { return call(ops::minimum, {}, {a, b}); }
Tensor equal(const In& a, const In& b) { return call(ops::eq, {}, {a, b}); }
Tensor not_equal(const In& a, const In& b) { return call(ops::ne, {}, {a, b}); }
Tensor less(const In& a, const In& b) { return call(ops::lt, {}, {a, b}); }
Tensor less_equal(const In& a, const In& b) { return call(ops::le, {}, {a, b}); }
Tensor greater(const In& a, const In& b) { return call(ops::gt, {}, {a, b}); }
Tensor greater_equal(const In& a, const In& b) { return call(ops::ge, {}, {a, b}); }
Tensor logical_not(const In& x) { return call(ops::logical_not, {}, {x}); }
Tensor logical_and(const In& a, const In& b) { return call(ops::bit_and, {}, {a, b}); }
Tensor logical_or(const In& a, const In& b) { return call(ops::bit_or, {}, {a, b}); }
Tensor where(const In& condition, const In& a, const In& b) {
  const std::vector<Tensor> branches = tensors_of(std::vector<In>{a, b});
  const std::vector<Tensor> inputs = {condition.tensor, branches[0], branches[1]};
  return apply(ops::where, {}, inputs, condition.here).front();
}
Tensor cast(const In& x, DType dtype) { return cast_to(x.tensor, dtype, x.here.loc); }
Tensor clip(const In& x, double low, double high) { return call(ops::clip, {{"low", low}, {"high", high}}, {x}); }
Tensor relu(const In& x) { return call(ops::relu, {}, {x}); }
Tensor leaky_relu(const In& x, double slope) { return call(ops::leaky_relu, {{"slope", slope}}, {x}); }
Tensor elu(const In& x, double alpha) { return call(ops::elu, {{"alpha", alpha}}, {x}); }
Tensor sigmoid(const In& x) { return call(ops::sigmoid, {}, {x}); }
Tensor silu(const In& x) { return call(ops::silu, {}, {x}); }
Tensor softplus(const In& x) { return call(ops::softplus, {}, {x}); }
Tensor gelu(const In& x, bool approximate) { return call(ops::gelu, {{"approximate", approximate}}, {x}); }
Tensor stop_gradient(const In& x) { return call(ops::stop_gradient, {}, {x}); }

Tensor sum(const In& x, Axes axes, bool keepdims) { return call(ops::sum, {{"axes", axes}, {"keepdims", keepdims}}, {x}); }
Tensor mean(const In& x, Axes axes, bool keepdims) { return call(ops::mean, {{"axes", axes}, {"keepdims", keepdims}}, {x}); }
Tensor max(const In& x, Axes axes, bool keepdims) { return call(ops::max, {{"axes", axes}, {"keepdims", keepdims}}, {x}); }
Tensor min(const In& x, Axes axes, bool keepdims) { return call(ops::min, {{"axes", axes}, {"keepdims", keepdims}}, {x}); }
Tensor prod(const In& x, Axes axes, bool keepdims) { return call(ops::prod, {{"axes", axes}, {"keepdims", keepdims}}, {x}); }
Tensor variance(const In& x, Axes axes, bool keepdims) {
  return call(ops::variance, {{"axes", axes}, {"keepdims", keepdims}}, {x});
}
Tensor logsumexp(const In& x, Axes axes, bool keepdims) {
  return call(ops::logsumexp, {{"axes", axes}, {"keepdims", keepdims}}, {x});
}
Tensor argmax(const In& x, int64_t axis, bool keepdims) {
  return call(ops::argmax, {{"axis", axis}, {"keepdims", keepdims}}, {x});
}
Tensor argmin(const In& x, int64_t axis, bool keepdims) {
  return call(ops::argmin, {{"axis", axis}, {"keepdims", keepdims}}, {x});
}

Tensor reshape(const In& x, const Shape& shape) { return call(ops::reshape, {{"shape", shape.vector()}}, {x}); }
Tensor permute(const In& x, Axes axes) {
  for (int64_t& axis : axes) axis = axis_of(x, axis, "permute");
  return call(ops::permute, {{"axes", axes}}, {x});
}
Tensor transpose(const In& x) {
  const int64_t rank = x.tensor.rank();
  if (rank < 2) backplane::fail("transpose", "needs at least two axes", std::span(&x.tensor.type(), 1), x.here.loc);
  Axes axes;
  for (int64_t axis = 0; axis < rank; ++axis) axes.push_back(axis);
  std::swap(axes[static_cast<size_t>(rank - 1)], axes[static_cast<size_t>(rank - 2)]);
  return permute(x, axes);
}
Tensor expand(const In& x, const Shape& shape) { return call(ops::expand, {{"shape", shape.vector()}}, {x}); }

Tensor slice(const In& x, int64_t axis, int64_t start, int64_t stop, int64_t step) {
  const Shape& shape = x.tensor.shape();
  axis = axis_of(x, axis, "slice");
  if (step == 0) backplane::fail("slice", "the step is 0", std::span(&x.tensor.type(), 1), x.here.loc);
  const int64_t extent = shape[static_cast<int>(axis)];
  const int64_t lowest = step > 0 ? 0 : -1, highest = step > 0 ? extent : extent - 1;
  const auto resolve = [&](int64_t i) { return std::clamp(i < 0 ? i + extent : i, lowest, highest); };
  Axes starts(static_cast<size_t>(shape.rank()), 0), stops = shape.vector(), steps(starts.size(), 1);
  const auto a = static_cast<size_t>(axis);
  starts[a] = resolve(start);
  stops[a] = std::max(step > 0 ? starts[a] : stops[a], step > 0 ? resolve(stop) : int64_t{0});
  if (step < 0) stops[a] = std::min(starts[a], resolve(stop));
  steps[a] = step;
  return call(ops::slice, {{"start", starts}, {"stop", stops}, {"step", steps}}, {x});
}

Tensor flip(const In& x, Axes axes) {
  for (int64_t& axis : axes) axis = axis_of(x, axis, "flip");
  return call(ops::flip, {{"axes", axes}}, {x});
}

Tensor unsqueeze(const In& x, int64_t axis) {
  Axes shape = x.tensor.shape().vector();
  axis = graph::normalize_axis(axis, x.tensor.rank() + 1, "unsqueeze");
  shape.insert(shape.begin() + axis, 1);
  return reshape(x, Shape(shape));
}
Tensor squeeze(const In& x, int64_t axis) {
  Axes shape = x.tensor.shape().vector();
  axis = axis_of(x, axis, "squeeze");
  if (shape[static_cast<size_t>(axis)] != 1) {
    backplane::fail("squeeze", "axis " + std::to_string(axis) + " does not have extent 1", std::span(&x.tensor.type(), 1),
                    x.here.loc);
  }
  shape.erase(shape.begin() + axis);
  return reshape(x, Shape(shape));
}
Tensor flatten(const In& x, int64_t first_axis) {
  const Shape& shape = x.tensor.shape();
  first_axis = axis_of(x, first_axis, "flatten");
  Axes flat;
  int64_t rest = 1;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (axis < first_axis) {
      flat.push_back(shape[axis]);
    } else {
      rest *= shape[axis];
    }
  }
  flat.push_back(first_axis == 0 && shape.is_dynamic() ? -1 : rest);
  return reshape(x, Shape(flat));
}

Tensor pad(const In& x, Axes low, Axes high, double value) {
  return call(ops::pad, {{"low", low}, {"high", high}, {"value", value}}, {x});
}
Tensor concat(std::span<const Tensor> xs, int64_t axis, Here here) {
  const AttrArg args[] = {{"axis", axis}};
  return apply(ops::concat, args, xs, here).front();
}
Tensor stack(std::span<const Tensor> xs, int64_t axis, Here here) {
  const AttrArg args[] = {{"axis", axis}};
  return apply(ops::stack, args, xs, here).front();
}

Tensor matmul(const In& a, const In& b) { return call(ops::matmul, {}, {a, b}); }
Tensor gather(const In& x, const In& indices, int64_t axis) { return call(ops::gather, {{"axis", axis}}, {x, indices}); }
Tensor scatter_add(const In& base, const In& indices, const In& updates, int64_t axis) {
  return call(ops::scatter_add, {{"axis", axis}}, {base, indices, updates});
}
Tensor take_along_axis(const In& x, const In& indices, int64_t axis) {
  return call(ops::take_along_axis, {{"axis", axis}}, {x, indices});
}
Sorted sort(const In& x, int64_t axis, bool descending) {
  const AttrArg args[] = {{"axis", axis}, {"descending", descending}};
  const std::vector<Tensor> both = apply(ops::sort, args, std::span(&x.tensor, 1), x.here);
  return {both[0], both[1]};
}
Sorted top_k(const In& x, int64_t k, int64_t axis, bool descending) {
  const AttrArg args[] = {{"k", k}, {"axis", axis}, {"descending", descending}};
  const std::vector<Tensor> both = apply(ops::top_k, args, std::span(&x.tensor, 1), x.here);
  return {both[0], both[1]};
}
Tensor one_hot(const In& indices, int64_t depth, DType dtype) {
  return call(ops::one_hot, {{"depth", depth}, {"dtype", dtype}}, {indices});
}
Tensor embedding(const In& table, const In& indices) { return call(ops::embedding, {}, {table, indices}); }

Tensor softmax(const In& x, int64_t axis) { return call(ops::softmax, {{"axis", axis}}, {x}); }
Tensor log_softmax(const In& x, int64_t axis) { return call(ops::log_softmax, {{"axis", axis}}, {x}); }
Tensor cross_entropy(const In& logits, const In& targets) {
  return mean(In(call(ops::cross_entropy, {}, {logits, targets}), logits.here));
}
Tensor sparse_cross_entropy(const In& logits, const In& labels) {
  return mean(In(call(ops::sparse_cross_entropy, {}, {logits, labels}), logits.here));
}
Tensor mse_loss(const In& x, const In& target) { return call(ops::mse_loss, {}, {x, target}); }

Tensor convolution(const In& x, const In& w, const ConvolutionOptions& options) {
  const int rank = x.tensor.rank() - 2;
  const SourceLoc loc = x.here.loc;
  const Axes padding = spread(options.padding, rank, 0, "convolution", "padding", loc);
  return call(ops::convolution,
              {{"stride", spread(options.stride, rank, 1, "convolution", "stride", loc)},
               {"dilation", spread(options.dilation, rank, 1, "convolution", "dilation", loc)},
               {"pad_low", padding},
               {"pad_high", padding},
               {"groups", options.groups}},
              {x, w});
}
Tensor max_pool(const In& x, const PoolOptions& options) { return pool_with(x, options, BP_POOL_MAX, "max_pool"); }
Tensor average_pool(const In& x, const PoolOptions& options) {
  return pool_with(x, options, BP_POOL_AVERAGE, "average_pool");
}
Tensor layer_norm(const In& x, const In& scale, const In& shift, double epsilon) {
  return call(ops::layer_norm, {{"epsilon", epsilon}}, {x, scale, shift});
}
Tensor rms_norm(const In& x, const In& scale, double epsilon) {
  return call(ops::rms_norm, {{"epsilon", epsilon}}, {x, scale});
}
Tensor attention(const In& q, const In& k, const In& v, const std::optional<Tensor>& mask, bool causal, double scale) {
  if (mask && q.tensor.defined() && k.tensor.defined() && q.tensor.rank() == 4 && k.tensor.rank() == 4) {
    // The op wants the mask as a view of the scores' shape, which costs a device nothing. Other ranks it refuses itself.
    const Shape scores{q.tensor.size(0), q.tensor.size(1), q.tensor.size(2), k.tensor.size(2)};
    const In seen(mask->shape() == scores ? *mask : expand(In(*mask, q.here), scores), q.here);
    return call(ops::attention, {{"causal", causal}, {"scale", scale}}, {q, k, v, seen});
  }
  if (mask) return call(ops::attention, {{"causal", causal}, {"scale", scale}}, {q, k, v, *mask});
  return call(ops::attention, {{"causal", causal}, {"scale", scale}}, {q, k, v});
}

}  // namespace backplane
