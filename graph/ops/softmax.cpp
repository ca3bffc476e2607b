// SPDX-License-Identifier: Apache-2.0
// Softmax and its logarithm along one axis, with their gradients as ops of their own so that a device can fuse them.
// The gradients are differentiated through their decompositions.
#include "ops/nn.h"

namespace backplane::graph {

namespace {

std::vector<AttrSpec> axis_attr() {
  return {{"axis", AttrKind::integer, int64_t{-1}, "axis whose elements sum to 1; negative counts from the end"}};
}

int64_t axis_of(const Attrs& attrs, int rank) { return normalize_axis(attrs.i64("axis"), rank, "softmax"); }

std::vector<Type> infer_along_axis(const InferArgs& args) {
  require_one_float_dtype(args, 0, 2);
  const Type& x = args.in[0];
  const int64_t axis = args.attrs.i64("axis");
  if (axis < -x.shape.rank() || axis >= x.shape.rank()) {
    args.fail("axis " + std::to_string(axis) + " is outside a tensor of rank " + std::to_string(x.shape.rank()));
  }
  if (args.in.size() == 2 && !same_shape(x.shape, args.in[1].shape)) args.fail("y and dy have different shapes");
  return {x};
}

template <uint32_t kCode>
void encode_axis(const Attrs& attrs, std::span<const Type> in, std::span<const Type>, KernelOp& op) {
  bp_axis_attrs axis{};
  axis.size = sizeof axis;
  axis.axis = static_cast<uint32_t>(axis_of(attrs, in[0].shape.rank()));
  op.code = kCode;
  op.set_attrs(axis);
}

Cost cost_per_element(double flops, std::span<const Type> in, std::span<const Type> out) {
  Cost cost;
  for (const Type& type : in) cost.bytes += static_cast<double>(type.bytes());
  cost.bytes += static_cast<double>(out[0].bytes());
  cost.flops = flops * static_cast<double>(out[0].elements());
  return cost;
}

std::vector<Sample> samples_of(int operands) {
  std::vector<Sample> samples;
  const auto add = [&](Shape shape, int64_t axis, double low, double high) {
    Sample made;
    for (int i = 0; i < operands; ++i) made.inputs.push_back(sample(shape, low, high));
    made.attrs = {{"axis", axis}};
    samples.push_back(std::move(made));
  };
  add({4, 7}, -1, -2, 2);
  add({2, 3, 5}, 1, -2, 2);
  add({33, 2}, 0, -1, 1);
  add({3, 1}, 1, -2, 2);
  add({0, 3}, -1, -2, 2);
  add({3, 0}, -1, -2, 2);
  return samples;
}

/// x - max(x), which is at most 0, so that exp cannot overflow.
Sym shifted(Sym x, std::span<const int64_t> axes) { return x - reduce_max(x, axes); }

std::vector<Sym> decompose_softmax(const DecomposeArgs& args) {
  const Ints axes = {axis_of(args.attrs, args.in[0].rank())};
  const Sym e = exp(shifted(widen(args.in[0]), axes));
  return {cast(e / reduce_sum(e, axes), args.in[0].dtype())};
}

void vjp_softmax(VjpArgs& args) {
  args.dx[0] = apply1(op::softmax_grad, {{"axis", args.attrs.i64("axis")}}, {args.out[0], args.dy[0]});
}

std::vector<Sym> decompose_softmax_grad(const DecomposeArgs& args) {
  const Ints axes = {axis_of(args.attrs, args.in[0].rank())};
  const Sym y = widen(args.in[0]), dy = widen(args.in[1]);
  return {cast(y * (dy - reduce_sum(y * dy, axes)), args.in[0].dtype())};
}

std::vector<Sym> decompose_log_softmax(const DecomposeArgs& args) {
  const Ints axes = {axis_of(args.attrs, args.in[0].rank())};
  const Sym s = shifted(widen(args.in[0]), axes);
  return {cast(s - log(reduce_sum(exp(s), axes)), args.in[0].dtype())};
}

void vjp_log_softmax(VjpArgs& args) {
  args.dx[0] = apply1(op::log_softmax_grad, {{"axis", args.attrs.i64("axis")}}, {args.out[0], args.dy[0]});
}

std::vector<Sym> decompose_log_softmax_grad(const DecomposeArgs& args) {
  const Ints axes = {axis_of(args.attrs, args.in[0].rank())};
  const Sym y = widen(args.in[0]), dy = widen(args.in[1]);
  return {cast(dy - exp(y) * reduce_sum(dy, axes), args.in[0].dtype())};
}

}  // namespace

const OpDef op::softmax = {
    .name = "softmax",
    .doc = "y = exp(x - max(x)) / sum(exp(x - max(x))) along `axis`; y has x's shape. A row of -inf only gives NaN.",
    .attrs = axis_attr(),
    .infer = infer_along_axis,
    .decompose = decompose_softmax,
    .vjp = vjp_softmax,
    .native = {BP_OP_SOFTMAX, encode_axis<BP_OP_SOFTMAX>},
    .saves = Saves::outputs,
    .cost = [](const Attrs&, std::span<const Type> in, std::span<const Type> out) { return cost_per_element(5, in, out); },
    .samples = [] { return samples_of(1); },
};

const OpDef op::softmax_grad = {
    .name = "softmax_grad",
    .doc = "dx = y * (dy - sum(y * dy)) along `axis`, with y = softmax(x).",
    .min_inputs = 2,
    .max_inputs = 2,
    .attrs = axis_attr(),
    .infer = infer_along_axis,
    .decompose = decompose_softmax_grad,
    .native = {BP_OP_SOFTMAX_GRAD, encode_axis<BP_OP_SOFTMAX_GRAD>},
    .saves = Saves::inputs,
    .cost = [](const Attrs&, std::span<const Type> in, std::span<const Type> out) { return cost_per_element(4, in, out); },
    .samples = [] { return samples_of(2); },
};

const OpDef op::log_softmax = {
    .name = "log_softmax",
    .doc = "y = x - max(x) - log(sum(exp(x - max(x)))) along `axis`; y has x's shape. A row of -inf only gives NaN.",
    .attrs = axis_attr(),
    .infer = infer_along_axis,
    .decompose = decompose_log_softmax,
    .vjp = vjp_log_softmax,
    .native = {BP_OP_LOG_SOFTMAX, encode_axis<BP_OP_LOG_SOFTMAX>},
    .saves = Saves::outputs,
    .cost = [](const Attrs&, std::span<const Type> in, std::span<const Type> out) { return cost_per_element(5, in, out); },
    .samples = [] { return samples_of(1); },
};

const OpDef op::log_softmax_grad = {
    .name = "log_softmax_grad",
    .doc = "dx = dy - exp(y) * sum(dy) along `axis`, with y = log_softmax(x).",
    .min_inputs = 2,
    .max_inputs = 2,
    .attrs = axis_attr(),
    .infer = infer_along_axis,
    .decompose = decompose_log_softmax_grad,
    .native = {BP_OP_LOG_SOFTMAX_GRAD, encode_axis<BP_OP_LOG_SOFTMAX_GRAD>},
    .saves = Saves::inputs,
    .cost = [](const Attrs&, std::span<const Type> in, std::span<const Type> out) { return cost_per_element(4, in, out); },
    .samples = [] { return samples_of(2); },
};

}  // namespace backplane::graph
