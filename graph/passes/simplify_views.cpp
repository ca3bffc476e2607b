// SPDX-License-Identifier: Apache-2.0
// Laws of views and of ops that turn out to be views: all move elements without touching them, so all are exact.
#include <algorithm>
#include <iterator>

#include "passes/simplify_rules.h"

namespace backplane::graph::passes {

namespace {

using Ints = std::vector<int64_t>;
using Xs = std::span<const Sym>;

const Type kCube{f32, {2, 3, 4}}, kFlat{f32, {1, 6, 1}}, kUnits{f32, {1, 3, 1, 4}}, kOnes{f32, {1, 1}};

Ints ints(const At& at, std::string_view name) {
  const auto values = at.attrs().ints(name);
  return {values.begin(), values.end()};
}

Sym slice_of(Sym x, Ints start, Ints stop, Ints step) {
  return apply1(op::slice, {{"start", std::move(start)}, {"stop", std::move(stop)}, {"step", std::move(step)}}, {x});
}
Sym flip_of(Sym x, Ints axes) { return apply1(op::flip, {{"axes", std::move(axes)}}, {x}); }
Sym permute_of(Sym x, Ints axes) { return apply1(op::permute, {{"axes", std::move(axes)}}, {x}); }
Sym reshape_of(Sym x, Ints shape) { return apply1(op::reshape, {{"shape", std::move(shape)}}, {x}); }
Sym reduce_of(const OpDef& op, Sym x, Ints axes) { return apply1(op, {{"axes", std::move(axes)}}, {x}); }

/// One element seen everywhere looks the same from everywhere.
Rewrite view_of_splat(const At& at) {
  const auto splat = at.splat(at.in(0));
  if (!splat) return std::nullopt;
  return at.graph().sym(add_full(at.graph(), *splat, at.type().shape));
}

Rewrite same_type(const At& at) { return at.in(0).type() == at.type() ? Rewrite(at.in(0)) : std::nullopt; }

Rewrite reshape_of_reshape(const At& at) {
  const auto inner = at.made_by(at.in(0), op::reshape);
  return inner ? Rewrite(reshape(inner->in(0), at.type().shape)) : std::nullopt;
}

Rewrite expand_of_expand(const At& at) {
  const auto inner = at.made_by(at.in(0), op::expand);
  return inner ? Rewrite(expand(inner->in(0), at.type().shape)) : std::nullopt;
}

Rewrite identity_permute(const At& at) {
  const Ints axes = ints(at, "axes");
  return std::is_sorted(axes.begin(), axes.end()) ? Rewrite(at.in(0)) : std::nullopt;
}

Rewrite permute_of_permute(const At& at) {
  const auto inner = at.made_by(at.in(0), op::permute);
  if (!inner) return std::nullopt;
  const Ints first = ints(*inner, "axes");
  Ints axes = ints(at, "axes");
  for (int64_t& axis : axes) axis = first[static_cast<size_t>(axis)];
  return permute(inner->in(0), axes);
}

/// Only extents 1 change places: the elements stay in their order.
Rewrite permute_of_units(const At& at) {
  int64_t last = -1;
  for (int64_t axis : at.attrs().ints("axes")) {
    if (at.in(0).shape()[static_cast<int>(axis)] == 1) continue;
    if (axis < last) return std::nullopt;
    last = axis;
  }
  return reshape(at.in(0), at.type().shape);
}

Rewrite whole_slice(const At& at) {
  if (at.in(0).type() != at.type()) return std::nullopt;
  const Ints step = ints(at, "step");
  for (size_t i = 0; i < step.size(); ++i) {
    if (step[i] != 1 && at.type().shape[static_cast<int>(i)] > 1) return std::nullopt;
  }
  return at.in(0);
}

/// Element i of the outer slice is element start + i * step of the inner one.
Rewrite slice_of_slice(const At& at) {
  const auto inner = at.made_by(at.in(0), op::slice);
  if (!inner || at.type().elements() == 0) return std::nullopt;
  const Ints start1 = ints(*inner, "start"), step1 = ints(*inner, "step");
  Ints start = ints(at, "start"), step = ints(at, "step"), stop(start.size());
  for (size_t i = 0; i < start.size(); ++i) {
    start[i] = start1[i] + start[i] * step1[i];
    step[i] *= step1[i];
    const int64_t last = start[i] + (at.type().shape[static_cast<int>(i)] - 1) * step[i];
    stop[i] = last + (step[i] > 0 ? 1 : -1);
  }
  return slice_of(inner->in(0), std::move(start), std::move(stop), std::move(step));
}

Ints flipped_axes(const At& at) { return normalize_axes(at.attrs().ints("axes"), at.type().shape.rank(), "flip"); }

Rewrite flip_of_flip(const At& at) {
  const auto inner = at.made_by(at.in(0), op::flip);
  if (!inner) return std::nullopt;
  const Ints a = flipped_axes(*inner), b = flipped_axes(at);
  Ints odd;
  std::set_symmetric_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(odd));
  return odd.empty() ? inner->in(0) : flip_of(inner->in(0), std::move(odd));  // no axes would mean all
}

Rewrite flip_of_units(const At& at) {
  for (int64_t axis : flipped_axes(at)) {
    if (at.type().shape[static_cast<int>(axis)] > 1) return std::nullopt;
  }
  return at.in(0);
}

/// Axes of extent 1 need no reducing. A sum or product of one element is that element; -0 starts from 0 and is kept out.
Rewrite reduce_units(const At& at) {
  const OpDef& op = *at.graph().node(at.self().id).op;
  Ints rest;
  for (int64_t axis : at.attrs().ints("axes")) {
    if (at.in(0).shape()[static_cast<int>(axis)] != 1) rest.push_back(axis);
  }
  if (rest.size() == at.attrs().ints("axes").size()) return std::nullopt;
  if (!rest.empty()) return reduce_of(op, at.in(0), std::move(rest));
  const bool adds = &op == &op::reduce_sum && is_float(at.type().dtype);
  return adds ? std::nullopt : Rewrite(at.in(0));
}

Rewrite pad_nothing(const At& at) {
  const auto zero = [](int64_t n) { return n == 0; };
  const Ints low = ints(at, "low"), high = ints(at, "high");
  const bool none = std::all_of(low.begin(), low.end(), zero) && std::all_of(high.begin(), high.end(), zero);
  return none ? Rewrite(at.in(0)) : std::nullopt;
}

Rewrite concat_one(const At& at) { return at.arity() == 1 ? Rewrite(at.in(0)) : std::nullopt; }

}  // namespace

std::span<const SimplifyRule> view_rules() {
  static const std::vector<SimplifyRule> rules = {
      {"a view of a known number",
       {&op::reshape, &op::permute, &op::expand, &op::slice, &op::flip, &op::window, &op::stop_gradient},
       view_of_splat,
       {{{kCube}, [](Xs x) { return reshape_of(full(*x[0].builder, 2.5, f32, {4, 6}), {3, 8}); }},
        {{kCube}, [](Xs x) { return expand(scalar(*x[0].builder, -0.0, f64), {2, 2}); }}}},
      {"a view that changes nothing", {&op::reshape, &op::expand, &op::stop_gradient}, same_type,
       {{{kCube}, [](Xs x) { return reshape_of(x[0], {2, 3, -1}); }},
        {{kCube}, [](Xs x) { return apply1(op::expand, {{"shape", Ints{2, 3, 4}}}, {x[0]}); }},
        {{kCube}, [](Xs x) { return apply1(op::stop_gradient, {}, {x[0]}); }}}},
      {"reshape of reshape", {&op::reshape}, reshape_of_reshape,
       {{{kCube}, [](Xs x) { return reshape_of(reshape_of(x[0], {6, 4}), {3, 8}); }},
        {{kCube}, [](Xs x) { return reshape_of(reshape_of(x[0], {24}), {2, 3, 4}); }}}},
      {"expand of expand", {&op::expand}, expand_of_expand,
       {{{kFlat}, [](Xs x) { return expand(expand(x[0], {1, 6, 2}), {3, 6, 2}); }},
        {{kOnes}, [](Xs x) { return expand(expand(x[0], {4, 1}), {2, 4, 3}); }}}},
      {"permute in order", {&op::permute}, identity_permute,
       {{{kCube}, [](Xs x) { return permute_of(x[0], {0, 1, 2}); }}}},
      {"permute of permute", {&op::permute}, permute_of_permute,
       {{{kCube}, [](Xs x) { return permute_of(permute_of(x[0], {1, 2, 0}), {0, 2, 1}); }},
        {{kCube}, [](Xs x) { return permute_of(permute_of(x[0], {1, 2, 0}), {2, 0, 1}); }}}},
      {"permute of extents 1", {&op::permute}, permute_of_units,
       {{{kUnits}, [](Xs x) { return permute_of(x[0], {1, 2, 0, 3}); }}}},
      {"slice of everything", {&op::slice}, whole_slice,
       {{{kCube}, [](Xs x) { return slice_of(x[0], {0, 0, 0}, {2, 3, 4}, {1, 1, 1}); }}}},
      {"slice of slice", {&op::slice}, slice_of_slice,
       {{{kCube},
         [](Xs x) {
           const Sym inner = slice_of(x[0], {0, 2, 1}, {2, -1, 4}, {1, -1, 1});
           return slice_of(inner, {1, 0, 2}, {2, 3, -1}, {1, 2, -2});
         }},
        {{{f32, {20}}}, [](Xs x) { return slice_of(slice_of(x[0], {1}, {19}, {3}), {4}, {0}, {-2}); }}}},
      {"flip of flip", {&op::flip}, flip_of_flip,
       {{{kCube}, [](Xs x) { return flip_of(flip_of(x[0], {0, 2}), {0, 2}); }},
        {{kCube}, [](Xs x) { return flip_of(flip_of(x[0], {0, 1}), {-1, 1}); }}}},
      {"flip of extents 1", {&op::flip}, flip_of_units, {{{kUnits}, [](Xs x) { return flip_of(x[0], {0, 2}); }}}},
      {"copy of copy", {&op::copy},
       [](const At& at) { return at.made_by(at.in(0), op::copy) ? Rewrite(at.in(0)) : std::nullopt; },
       {{{kCube}, [](Xs x) { return copy(copy(x[0])); }}}},
      {"reduction over extents 1", {&op::reduce_sum, &op::reduce_max, &op::reduce_min, &op::reduce_prod}, reduce_units,
       {{{kUnits}, [](Xs x) { return reduce_of(op::reduce_max, x[0], {0, 2}); }},
        {{kUnits}, [](Xs x) { return reduce_of(op::reduce_sum, x[0], {0, 1}); }},
        {{kUnits}, [](Xs x) { return reduce_of(op::reduce_min, x[0], {1, 2}); }},
        {{kUnits}, [](Xs x) { return reduce_of(op::reduce_prod, x[0], {0}); }}}},
      {"pad by nothing", {&op::pad}, pad_nothing,
       {{{kCube}, [](Xs x) { return apply1(op::pad, {{"low", Ints{0, 0, 0}}, {"high", Ints{0, 0, 0}}}, {x[0]}); }}}},
      {"concat of one", {&op::concat}, concat_one,
       {{{kCube}, [](Xs x) { return apply1(op::concat, {{"axis", int64_t{1}}}, {x[0]}); }}}},
  };
  return rules;
}

}  // namespace backplane::graph::passes
