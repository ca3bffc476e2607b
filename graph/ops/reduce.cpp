// SPDX-License-Identifier: Apache-2.0
// Reductions as devices know them: the named axes shrink to extent 1. What users call, with keepdims and negative axes,
// is in reduce_composites.cpp.

#include "ops/common.h"

namespace backplane::graph {

namespace {

Ints axes_of(const Attrs& attrs) { return {attrs.ints("axes").begin(), attrs.ints("axes").end()}; }

Shape infer_shape(const InferArgs& args) {
  const Ints axes = axes_of(args.attrs);
  const Shape& in = args.in[0].shape;
  for (size_t i = 0; i < axes.size(); ++i) {
    if (axes[i] < 0 || axes[i] >= in.rank() || (i > 0 && axes[i] <= axes[i - 1])) {
      args.fail("axes " + Shape(axes).to_string() + " have to be sorted, unique and in 0 ... rank - 1");
    }
  }
  return reduced_shape(in, axes, true);
}

template <Kinds K>
std::vector<Type> infer_reduce(const InferArgs& args) {
  require_kind(args, K);
  return {{args.in[0].dtype, infer_shape(args)}};
}

std::vector<Type> infer_arg(const InferArgs& args) {
  require_kind(args, Kinds::computed);
  for (const int64_t axis : axes_of(args.attrs)) {
    if (axis >= 0 && axis < args.in[0].shape.rank() && args.in[0].shape[static_cast<int>(axis)] == 0) {
      args.fail("there is no extremum of no elements (axis " + std::to_string(axis) + ")");
    }
  }
  return {{i32, infer_shape(args)}};
}

template <uint32_t Kind>
void encode(const Attrs& attrs, std::span<const Type>, std::span<const Type>, KernelOp& op) {
  bp_reduce_attrs native{};
  native.size = sizeof native;
  native.kind = Kind;
  for (const int64_t axis : attrs.ints("axes")) native.axes |= 1u << axis;
  op.code = BP_OP_REDUCE;
  op.set_attrs(native);
}

Cost cost(const Attrs&, std::span<const Type> in, std::span<const Type> out) {
  return {static_cast<double>(in[0].elements()), static_cast<double>(in[0].bytes() + out[0].bytes())};
}

void sum_vjp(VjpArgs& a) { a.dx[0] = expand(a.dy[0], a.in[0].shape()); }

/// The elements equal to the extremum share its gradient. Counted in f32: halves cannot count far.
void extremum_vjp(VjpArgs& a) {
  const DType dtype = a.in[0].dtype(), wide = is_half(dtype) ? f32 : dtype;
  const Sym hit = cast(binary(op::eq, a.in[0], a.out[0]), wide);
  a.dx[0] = cast(hit * (cast(a.dy[0], wide) / reduce_sum(hit, axes_of(a.attrs))), dtype);
}

/// Products of all elements before each one on the last axis of [outer, n], by doubling: log2(n) shifted products.
/// Exact derivatives of every order, zeros included, where y / x would divide by zero.
Sym products_before(Sym x) {
  const int64_t outer = x.shape()[0], n = x.shape()[1];
  const auto shift = [&](Sym s, int64_t by) {
    const Sym kept = slice(s, Ints{0, 0}, Ints{outer, n - by}, Ints{1, 1});
    return apply1(op::pad, {{"low", Ints{0, by}}, {"high", Ints{0, 0}}, {"value", 1.0}}, {kept});
  };
  Sym p = shift(x, 1);
  for (int64_t by = 1; by < n; by *= 2) p = p * shift(p, by);
  return p;
}

void prod_vjp(VjpArgs& a) {
  const Sym x = a.in[0];
  const Ints axes = axes_of(a.attrs);
  if (x.type().elements() == 0 || axes.empty()) {
    a.dx[0] = expand(a.dy[0], x.shape());
    return;
  }
  Ints order;
  for (int i = 0; i < x.rank(); ++i) {
    if (std::find(axes.begin(), axes.end(), i) == axes.end()) order.push_back(i);
  }
  const auto kept = static_cast<int>(order.size());
  order.insert(order.end(), axes.begin(), axes.end());
  Ints inverse(order.size());
  for (size_t i = 0; i < order.size(); ++i) inverse[static_cast<size_t>(order[i])] = static_cast<int64_t>(i);

  const Sym moved = permute(x, order);
  const Sym flat = reshape(moved, {product(moved.shape(), 0, kept), product(moved.shape(), kept, moved.rank())});
  const auto reversed = [](Sym s) { return apply1(op::flip, {{"axes", Ints{1}}}, {s}); };
  const Sym others = products_before(flat) * reversed(products_before(reversed(flat)));
  a.dx[0] = a.dy[0] * permute(reshape(others, moved.shape()), inverse);
}

/// Order-reversing without overflow: -x for floats, ~x for integers and bool.
Sym reversed_order(Sym x) { return unary(is_float(x.dtype()) ? op::neg : op::logical_not, x); }

std::vector<Sym> decompose_min(const DecomposeArgs& a) {
  return {reversed_order(reduce_max(reversed_order(a.in[0]), axes_of(a.attrs)))};
}

/// Row-major position within the reduced axes of each element, i32, extent 1 elsewhere.
Sym positions(Builder& builder, const Shape& shape, const Ints& axes) {
  Shape extents(Ints(static_cast<size_t>(shape.rank()), 1));
  for (const int64_t axis : axes) extents[static_cast<int>(axis)] = shape[static_cast<int>(axis)];
  return reshape(iota(builder, extents.elements(), i32), extents);
}

/// First position whose element equals the extremum; NaN is the extremum where there is one and equals only itself.
std::vector<Sym> decompose_arg(const DecomposeArgs& a, const OpDef& extremum) {
  const Sym x = a.in[0];
  const Ints axes = axes_of(a.attrs);
  if (axes.empty()) return {full(a.builder, 0, i32, x.shape())};
  const Sym best = apply1(extremum, {{"axes", axes}}, {x});
  Sym hit = binary(op::eq, x, best);
  if (is_float(x.dtype())) hit = binary(op::bit_or, hit, binary(op::ne, x, x));
  const Sym at = positions(a.builder, x.shape(), axes);
  return {apply1(op::reduce_min, {{"axes", axes}}, {where(hit, at, scalar(a.builder, INT32_MAX, i32))})};
}

std::vector<Sample> samples() {
  return {{{sample({4, 8})}, {{"axes", Ints{1}}}},       {{sample({3, 7})}, {{"axes", Ints{0}}}},
          {{sample({2, 3, 5})}, {{"axes", Ints{0, 2}}}}, {{sample({2, 1, 5})}, {{"axes", Ints{1}}}},
          {{sample({4, 33})}, {{"axes", Ints{0, 1}}}},   {{sample({2, 3, 4, 5})}, {{"axes", Ints{1, 2}}}},
          {{sample({0, 3})}, {{"axes", Ints{1}}}},       {{sample({2, 3})}, {{"axes", Ints{}}}}};
}
std::vector<Sample> samples_with_empty() {
  std::vector<Sample> out = samples();
  out.push_back({{sample({3, 0})}, {{"axes", Ints{1}}}});
  return out;
}
std::vector<Sample> prod_samples() {
  std::vector<Sample> out = samples_with_empty();
  // A narrow range keeps products of 132 factors in range.
  for (Sample& s : out) s.inputs[0].low = 0.7, s.inputs[0].high = 1.3;
  return out;
}

/// The fields in which reductions differ.
struct Reduction {
  std::string_view name, doc;
  Tier tier;
  std::vector<Type> (*infer)(const InferArgs&);
  std::vector<Sym> (*decompose)(const DecomposeArgs&);
  void (*vjp)(VjpArgs&);
  void (*encode)(const Attrs&, std::span<const Type>, std::span<const Type>, KernelOp&);
  Saves saves;
  std::vector<Sample> (*samples)();
  Gradient gradient = Gradient::flows;
};

OpDef define(const Reduction& r) {
  return {.name = r.name,
          .doc = r.doc,
          .attrs = {{"axes", AttrKind::integers, Ints{}, "axes to reduce: sorted, unique, non-negative", true}},
          .tier = r.tier,
          .fusion = Fusion::reduction,
          .infer = r.infer,
          .decompose = r.decompose,
          .vjp = r.vjp,
          .gradient = r.gradient,
          .smooth = r.gradient == Gradient::flows,
          .native = {BP_OP_REDUCE, r.encode},
          .saves = r.saves,
          .cost = cost,
          .samples = r.samples};
}

}  // namespace

const OpDef op::reduce_sum =
    define({"reduce_sum", "Sum over `axes`, which keep extent 1; 0 for no elements. Halves accumulate in f32.",
            Tier::primitive, infer_reduce<Kinds::numeric>, nullptr, sum_vjp, encode<BP_REDUCE_SUM>, Saves::nothing,
            samples_with_empty});
const OpDef op::reduce_max =
    define({"reduce_max",
            "Maximum over `axes`, which keep extent 1; -inf or the lowest value for no elements, NaN "
            "if there is one. Equal maxima share the gradient.",
            Tier::primitive, infer_reduce<Kinds::computed>, nullptr, extremum_vjp, encode<BP_REDUCE_MAX>,
            Saves::inputs_and_outputs, samples_with_empty});
const OpDef op::reduce_min =
    define({"reduce_min",
            "Minimum over `axes`, which keep extent 1; inf or the highest value for no elements, NaN if "
            "there is one. Equal minima share the gradient.",
            Tier::composite, infer_reduce<Kinds::computed>, decompose_min, extremum_vjp, encode<BP_REDUCE_MIN>,
            Saves::inputs_and_outputs, samples_with_empty});
const OpDef op::reduce_prod =
    define({"reduce_prod",
            "Product over `axes`, which keep extent 1; 1 for no elements. The gradient multiplies the "
            "other elements and divides by none, so zeros do no harm.",
            Tier::primitive, infer_reduce<Kinds::numeric>, nullptr, prod_vjp, encode<BP_REDUCE_PROD>, Saves::inputs,
            prod_samples});
const OpDef op::reduce_argmax =
    define({"reduce_argmax",
            "i32 row-major position of the maximum within `axes`, which keep extent 1; the first "
            "of equal ones, the first NaN if there is one.",
            Tier::composite, infer_arg, [](const DecomposeArgs& a) { return decompose_arg(a, op::reduce_max); },
            nullptr, encode<BP_REDUCE_ARGMAX>, Saves::nothing, samples, Gradient::blocked});
const OpDef op::reduce_argmin =
    define({"reduce_argmin",
            "i32 row-major position of the minimum within `axes`, which keep extent 1; the first "
            "of equal ones, the first NaN if there is one.",
            Tier::composite, infer_arg, [](const DecomposeArgs& a) { return decompose_arg(a, op::reduce_min); },
            nullptr, encode<BP_REDUCE_ARGMIN>, Saves::nothing, samples, Gradient::blocked});

}  // namespace backplane::graph
