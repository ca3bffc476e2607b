// SPDX-License-Identifier: Apache-2.0
// Reductions as users call them: axes may be negative, none means all, and reduced axes go unless keepdims is set.

#include "ops/common.h"

namespace backplane::graph {

namespace {

Ints axes_of(const Attrs& attrs, int rank) { return normalize_axes(attrs.ints("axes"), rank, "reduction"); }

template <Kinds K>
std::vector<Type> infer_reduction(const InferArgs& args) {
  require_kind(args, K);
  const Type& x = args.in[0];
  return {{x.dtype, reduced_shape(x.shape, axes_of(args.attrs, x.shape.rank()), args.attrs.flag("keepdims"))}};
}

/// `y` with kept axes, in the shape that keepdims asks for.
Sym finish(Sym y, const Attrs& attrs, std::span<const int64_t> axes) {
  return attrs.flag("keepdims") ? y : reshape(y, reduced_shape(y.shape(), axes, false));
}

template <const OpDef& Reduce>
std::vector<Sym> decompose_plain(const DecomposeArgs& a) {
  const Ints axes = axes_of(a.attrs, a.in[0].rank());
  if (axes.empty()) return {a.in[0]};
  return {finish(apply1(Reduce, {{"axes", axes}}, {a.in[0]}), a.attrs, axes)};
}

std::vector<Sym> decompose_mean(const DecomposeArgs& a) {
  const Ints axes = axes_of(a.attrs, a.in[0].rank());
  return {finish(reduce_mean(a.in[0], axes), a.attrs, axes)};
}

/// Two passes: the one-pass formula cancels.
std::vector<Sym> decompose_variance(const DecomposeArgs& a) {
  const Sym x = a.in[0], wide = is_half(x.dtype()) ? cast(x, f32) : x;
  const Ints axes = axes_of(a.attrs, x.rank());
  double n = -static_cast<double>(a.attrs.i64("correction"));
  int64_t count = 1;
  for (const int64_t axis : axes) count *= x.shape()[static_cast<int>(axis)];
  n += static_cast<double>(count);
  const Sym centred = wide - reduce_mean(wide, axes);
  return {finish(cast(reduce_sum(centred * centred, axes) / n, x.dtype()), a.attrs, axes)};
}

/// log sum e^x = m + log sum e^(x - m) with m = max x; an infinite m is replaced by 0, which gives the right infinity.
std::vector<Sym> decompose_logsumexp(const DecomposeArgs& a) {
  const Sym x = a.in[0], wide = is_half(x.dtype()) ? cast(x, f32) : x;
  const Ints axes = axes_of(a.attrs, x.rank());
  if (axes.empty()) return {x};
  const Sym peak = reduce_max(wide, axes), zero = scalar(a.builder, 0, wide.dtype());
  const Sym shift = where(binary(op::eq, peak - peak, zero), peak, zero);
  return {finish(cast(log(reduce_sum(exp(wide - shift), axes)) + shift, x.dtype()), a.attrs, axes)};
}

/// dx = dy softmax(x) = dy e^(x - y); where y = -inf all x are, and nothing flows.
void logsumexp_vjp(VjpArgs& v) {
  const Sym x = v.in[0];
  const DType wide = is_half(x.dtype()) ? f32 : x.dtype();
  const Shape kept = reduced_shape(x.shape(), axes_of(v.attrs, x.rank()), true);
  const Sym y = cast(reshape(v.out[0], kept), wide), dy = cast(reshape(v.dy[0], kept), wide);
  const Sym zero = scalar(v.builder, 0, wide);
  const Sym finite = where(binary(op::eq, y - y, zero), y, zero);
  v.dx[0] = cast(dy * exp(cast(x, wide) - finite), x.dtype());
}

std::vector<Type> infer_arg(const InferArgs& args) {
  const Shape& x = args.in[0].shape;
  const int64_t axis = normalize_axis(args.attrs.i64("axis"), x.rank(), args.op);
  if (x[static_cast<int>(axis)] == 0) args.fail("there is no extremum of no elements");
  return {{i32, reduced_shape(x, std::span(&axis, 1), args.attrs.flag("keepdims"))}};
}

template <const OpDef& Reduce>
std::vector<Sym> decompose_arg(const DecomposeArgs& a) {
  const Ints axes = {normalize_axis(a.attrs.i64("axis"), a.in[0].rank(), "argmax")};
  return {finish(apply1(Reduce, {{"axes", axes}}, {a.in[0]}), a.attrs, axes)};
}

Cost cost(const Attrs&, std::span<const Type> in, std::span<const Type> out) {
  return {static_cast<double>(in[0].elements()), static_cast<double>(in[0].bytes() + out[0].bytes())};
}
/// Subtract, square and add after a first sum; exp, subtract and add after a first maximum.
Cost cost_of_two_passes(const Attrs&, std::span<const Type> in, std::span<const Type> out) {
  return {4 * static_cast<double>(in[0].elements()), static_cast<double>(in[0].bytes() + out[0].bytes())};
}

std::vector<Sample> samples() {
  return {{{sample({4, 8})}, {}},
          {{sample({3, 7})}, {{"axes", Ints{-1}}, {"keepdims", true}}},
          {{sample({2, 3, 5})}, {{"axes", Ints{2, 0}}}},
          {{sample({2, 1, 5})}, {{"axes", Ints{1}}}},
          {{sample({0, 3})}, {{"axes", Ints{1}}}},
          {{sample({})}, {}}};
}
std::vector<Sample> narrow_samples() {
  std::vector<Sample> out = samples();
  for (Sample& s : out) s.inputs[0].low = 0.7, s.inputs[0].high = 1.3;
  return out;
}
std::vector<Sample> arg_samples() {
  return {{{sample({4, 8})}, {}},
          {{sample({3, 7})}, {{"axis", 0}, {"keepdims", true}}},
          {{sample({2, 1, 5})}, {{"axis", -2}}},
          {{sample({5})}, {{"axis", 0}}},
          {{sample({0, 3})}, {{"axis", 1}}}};
}

const AttrSpec kAxes{"axes", AttrKind::integers, Ints{},
                     "axes to reduce, negative ones count from the end; none means all"};
const AttrSpec kKeepdims{"keepdims", AttrKind::boolean, false, "reduced axes stay with extent 1"};

OpDef define(std::string_view name, std::string_view doc, std::vector<Type> (*infer)(const InferArgs&),
             std::vector<Sym> (*decompose)(const DecomposeArgs&)) {
  return {.name = name,
          .doc = doc,
          .attrs = {kAxes, kKeepdims},
          .fusion = Fusion::reduction,
          .infer = infer,
          .decompose = decompose,
          .cost = cost,
          .samples = samples};
}

OpDef define_prod() {
  OpDef op = define("prod", "Product over `axes`; 1 for no elements.", infer_reduction<Kinds::numeric>,
                    decompose_plain<op::reduce_prod>);
  op.samples = narrow_samples;
  return op;
}

OpDef define_variance() {
  OpDef op = define("variance", "y = sum((x - mean(x))^2) / (n - correction) over `axes`, in two passes.",
                    infer_reduction<Kinds::floats>, decompose_variance);
  op.attrs.push_back({"correction", AttrKind::integer, int64_t{0}, "1 for an unbiased estimate from a sample"});
  op.cost = cost_of_two_passes;
  op.samples = []() -> std::vector<Sample> {
    std::vector<Sample> out = samples();
    out.push_back({{sample({3, 7})}, {{"axes", Ints{1}}, {"correction", 1}}});
    return out;
  };
  return op;
}

OpDef define_logsumexp() {
  OpDef op = define("logsumexp", "y = log(sum(e^x)) over `axes`, without overflow; -inf where all x are.",
                    infer_reduction<Kinds::floats>, decompose_logsumexp);
  op.vjp = logsumexp_vjp;
  op.cost = cost_of_two_passes;
  return op;
}

OpDef define_arg(std::string_view name, std::string_view doc, std::vector<Sym> (*decompose)(const DecomposeArgs&)) {
  OpDef op = define(name, doc, infer_arg, decompose);
  op.attrs = {{"axis", AttrKind::integer, int64_t{-1}, "the reduced axis, negative counts from the end"}, kKeepdims};
  op.gradient = Gradient::blocked;
  op.smooth = false;
  op.saves = Saves::nothing;
  op.samples = arg_samples;
  return op;
}

}  // namespace

const OpDef op::sum = define("sum", "Sum over `axes`; 0 for no elements. Halves accumulate in f32.",
                             infer_reduction<Kinds::numeric>, decompose_plain<op::reduce_sum>);
const OpDef op::max = define("max", "Maximum over `axes`; NaN if there is one. Equal maxima share the gradient.",
                             infer_reduction<Kinds::computed>, decompose_plain<op::reduce_max>);
const OpDef op::min = define("min", "Minimum over `axes`; NaN if there is one. Equal minima share the gradient.",
                             infer_reduction<Kinds::computed>, decompose_plain<op::reduce_min>);
const OpDef op::prod = define_prod();
const OpDef op::mean = define("mean", "y = sum(x) / n over `axes`; NaN for no elements. Halves accumulate in f32.",
                              infer_reduction<Kinds::floats>, decompose_mean);
const OpDef op::variance = define_variance();
const OpDef op::argmax = define_arg(
    "argmax", "i32 index of the maximum along `axis`; the first of equal ones, the first NaN if there is one.",
    decompose_arg<op::reduce_argmax>);
const OpDef op::argmin = define_arg(
    "argmin", "i32 index of the minimum along `axis`; the first of equal ones, the first NaN if there is one.",
    decompose_arg<op::reduce_argmin>);
const OpDef op::logsumexp = define_logsumexp();

}  // namespace backplane::graph
