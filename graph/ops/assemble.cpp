// SPDX-License-Identifier: Apache-2.0
// Ops whose output is put together from pieces by strided copies, and stack, which is concat of reshaped operands.

#include "ops/common.h"

namespace backplane::graph {

namespace {

Shape ones(int rank) { return Shape(Ints(static_cast<size_t>(rank), 1)); }
Shape zeros(int rank) { return Shape(Ints(static_cast<size_t>(rank), 0)); }

Piece fill(double value, const Shape& extent) { return {-1, value, zeros(extent.rank()), extent, ones(extent.rank())}; }
Piece whole(int source, const Shape& extent) { return {source, 0, zeros(extent.rank()), extent, ones(extent.rank())}; }

Ints ints(const Attrs& attrs, std::string_view name) { return {attrs.ints(name).begin(), attrs.ints(name).end()}; }

// pad, concat ---------------------------------------------------------------------------------------------------------

std::vector<Type> infer_pad(const InferArgs& args) {
  const auto low = args.attrs.ints("low"), high = args.attrs.ints("high");
  Shape out = args.in[0].shape;
  const auto rank = static_cast<size_t>(out.rank());
  if (low.size() != rank || high.size() != rank) args.fail("low and high need one entry per axis");
  for (size_t i = 0; i < rank; ++i) {
    if (low[i] < 0 || high[i] < 0) args.fail("padding has to be non-negative", "cut with slice");
    int64_t& extent = out[static_cast<int>(i)];
    if (extent == dyn && (low[i] != 0 || high[i] != 0)) args.fail("an axis of unknown extent cannot be padded");
    if (extent != dyn) extent += low[i] + high[i];
  }
  return {{args.in[0].dtype, out}};
}

std::vector<Piece> pieces_pad(const Attrs& attrs, std::span<const Type> in, const Type& out) {
  if (in[0].shape == out.shape) return {whole(0, out.shape)};
  return {fill(attrs.f64("value"), out.shape), {0, 0, Shape(attrs.ints("low")), in[0].shape, ones(out.shape.rank())}};
}

void pad_vjp(VjpArgs& a) {
  const Ints low = ints(a.attrs, "low");
  Ints stop = low;
  for (size_t i = 0; i < stop.size(); ++i) stop[i] += a.in[0].shape()[static_cast<int>(i)];
  a.dx[0] = slice(a.dy[0], low, stop, Ints(low.size(), 1));
}

std::vector<Type> infer_concat(const InferArgs& args) {
  Type out = args.in[0];
  const auto axis = static_cast<int>(normalize_axis(args.attrs.i64("axis"), out.shape.rank(), args.op));
  for (size_t i = 1; i < args.in.size(); ++i) {
    require_same_dtype(args, 0, i);
    const Shape& shape = args.in[i].shape;
    bool fits = shape.rank() == out.shape.rank();
    for (int k = 0; fits && k < shape.rank(); ++k) fits = k == axis || shape[k] == out.shape[k];
    if (!fits)
      args.fail("operand " + std::to_string(i) + " differs from the first outside axis " + std::to_string(axis));
    int64_t& total = out.shape[axis];
    total = total == dyn || shape[axis] == dyn ? dyn : total + shape[axis];
  }
  return {out};
}

std::vector<Piece> pieces_concat(const Attrs& attrs, std::span<const Type> in, const Type& out) {
  const auto axis = static_cast<int>(normalize_axis(attrs.i64("axis"), out.shape.rank(), "concat"));
  std::vector<Piece> pieces;
  int64_t at = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    Piece piece = whole(static_cast<int>(i), in[i].shape);
    piece.start[axis] = at;
    at += in[i].shape[axis];
    pieces.push_back(piece);
  }
  return pieces;
}

void concat_vjp(VjpArgs& a) {
  const auto axis = static_cast<size_t>(normalize_axis(a.attrs.i64("axis"), a.dy[0].rank(), "concat"));
  Ints start(static_cast<size_t>(a.dy[0].rank()), 0), stop = a.dy[0].shape().vector();
  const Ints step(start.size(), 1);
  for (size_t i = 0; i < a.in.size(); ++i) {
    stop[axis] = start[axis] + a.in[i].shape()[static_cast<int>(axis)];
    if (a.wants[i]) a.dx[i] = slice(a.dy[0], start, stop, step);
    start[axis] = stop[axis];
  }
}

// place, slice_update -------------------------------------------------------------------------------------------------

/// Every element start + i * step of `part` has to lie inside `target`.
void check_window(const InferArgs& args, const Shape& target, const Shape& part) {
  const auto start = args.attrs.ints("start"), step = args.attrs.ints("step");
  const auto rank = static_cast<size_t>(target.rank());
  if (part.rank() != target.rank() || start.size() != rank || step.size() != rank) {
    args.fail("target, part, start and step need the same rank");
  }
  for (size_t i = 0; i < rank; ++i) {
    const int axis = static_cast<int>(i);
    if (step[i] == 0) args.fail("step is 0 on axis " + std::to_string(i));
    if (target[axis] == dyn || part[axis] == dyn) {
      if (target[axis] != part[axis] || start[i] != 0 || step[i] != 1)
        args.fail("an axis of unknown extent cannot be cut");
      continue;
    }
    const int64_t last = start[i] + (part[axis] - 1) * step[i];
    const auto inside = [&](int64_t index) { return index >= 0 && index < target[axis]; };
    if (part[axis] > 0 && (!inside(start[i]) || !inside(last))) {
      args.fail("elements " + std::to_string(start[i]) + " to " + std::to_string(last) + " of axis " +
                std::to_string(i) + " do not lie in extent " + std::to_string(target[axis]));
    }
  }
}

/// The part of `whole` that a place or slice_update with these attributes writes.
Sym slice_of(Sym whole, const Attrs& attrs, const Shape& part) {
  Ints start = ints(attrs, "start"), stop = start, step = ints(attrs, "step");
  for (size_t i = 0; i < start.size(); ++i) {
    const int64_t n = part[static_cast<int>(i)];
    // An empty part may start anywhere; slices want a place inside.
    if (n == 0) start[i] = stop[i] = 0, step[i] = 1;
    if (n > 0) stop[i] = start[i] + (n - 1) * step[i] + (step[i] > 0 ? 1 : -1);
  }
  return slice(whole, start, stop, step);
}

Piece part_at(int source, const Attrs& attrs, const Shape& part) {
  return {source, 0, Shape(attrs.ints("start")), part, Shape(attrs.ints("step"))};
}

std::vector<Type> infer_place(const InferArgs& args) {
  const Shape target(args.attrs.ints("shape"));
  check_window(args, target, args.in[0].shape);
  return {{args.in[0].dtype, target}};
}

std::vector<Type> infer_slice_update(const InferArgs& args) {
  require_same_dtype(args, 0, 1);
  check_window(args, args.in[0].shape, args.in[1].shape);
  return {args.in[0]};
}

void slice_update_vjp(VjpArgs& a) {
  const Attrs& attrs = a.attrs;
  if (a.wants[0]) {
    a.dx[0] = apply1(op::slice_update, {{"start", ints(attrs, "start")}, {"step", ints(attrs, "step")}},
                     {a.dy[0], zeros_like(a.in[1])});
  }
  if (a.wants[1]) a.dx[1] = slice_of(a.dy[0], attrs, a.in[1].shape());
}

// stack ---------------------------------------------------------------------------------------------------------------

std::vector<Type> infer_stack(const InferArgs& args) {
  for (size_t i = 1; i < args.in.size(); ++i) {
    if (args.in[i] != args.in[0])
      args.fail("operand " + std::to_string(i) + " differs from the first in dtype or shape");
  }
  Ints extents = args.in[0].shape.vector();
  if (extents.size() == BP_MAX_RANK) args.fail("the result would have a rank above 8");
  const int64_t axis = normalize_axis(args.attrs.i64("axis"), args.in[0].shape.rank() + 1, args.op);
  extents.insert(extents.begin() + axis, static_cast<int64_t>(args.in.size()));
  return {{args.in[0].dtype, Shape(extents)}};
}

std::vector<Sym> decompose_stack(const DecomposeArgs& a) {
  const int64_t axis = normalize_axis(a.attrs.i64("axis"), a.in[0].rank() + 1, "stack");
  std::vector<Sym> parts;
  for (Sym x : a.in) parts.push_back(unsqueeze(x, static_cast<int>(axis)));
  const AttrArg attr{"axis", axis};
  return apply(op::concat, std::span(&attr, 1), parts);
}

const AttrSpec kStart{"start", AttrKind::integers, Ints{}, "first index, per axis", true};
const AttrSpec kStep{"step", AttrKind::integers, Ints{}, "distance, per axis, not 0", true};

}  // namespace

const OpDef op::copy = {
    .name = "copy",
    .doc = "y = x, dense in memory of its own.",
    .tier = Tier::assemble,
    .fusion = Fusion::elementwise,
    .infer = infer_same<Kinds::any>,
    .vjp = [](VjpArgs& a) { a.dx[0] = a.dy[0]; },
    .saves = Saves::nothing,
    .pieces = [](const Attrs&, std::span<const Type>, const Type& out) -> std::vector<Piece> {
      return {whole(0, out.shape)};
    },
    .samples = unary_samples<-2.0, 2.0>,
};

const OpDef op::pad = {
    .name = "pad",
    .doc =
        "x with `low` elements of `value` in front of each axis and `high` behind; integers take the value truncated.",
    .attrs = {{"low", AttrKind::integers, Ints{}, "elements in front, per axis", true},
              {"high", AttrKind::integers, Ints{}, "elements behind, per axis", true},
              {"value", AttrKind::real, 0.0, "what is filled in"}},
    .tier = Tier::assemble,
    .infer = infer_pad,
    .vjp = pad_vjp,
    .saves = Saves::nothing,
    .pieces = pieces_pad,
    .samples = []() -> std::vector<Sample> {
      return {{{sample({3, 5})}, {{"low", Ints{1, 0}}, {"high", Ints{0, 2}}}},
              {{sample({2, 1, 3})}, {{"low", Ints{0, 2, 1}}, {"high", Ints{0, 0, 1}}, {"value", -1.5}}},
              {{sample({0, 2})}, {{"low", Ints{2, 0}}, {"high", Ints{1, 1}}, {"value", 1.0}}},
              {{sample({4})}, {{"low", Ints{0}}, {"high", Ints{0}}}}};
    },
};

const OpDef op::concat = {
    .name = "concat",
    .doc = "Operands one behind the other along `axis`; their other extents are equal.",
    .max_inputs = -1,
    .attrs = {{"axis", AttrKind::integer, int64_t{0}, "where to join, negative counts from the end"}},
    .tier = Tier::assemble,
    .infer = infer_concat,
    .vjp = concat_vjp,
    .promotes = true,
    .saves = Saves::nothing,
    .pieces = pieces_concat,
    .samples = []() -> std::vector<Sample> {
      return {{{sample({2, 3}), sample({4, 3})}, {}},
              {{sample({2, 3, 2}), sample({2, 1, 2}), sample({2, 5, 2})}, {{"axis", 1}}},
              {{sample({2, 3}), sample({2, 2})}, {{"axis", -1}}},
              {{sample({0, 3}), sample({2, 3})}, {}},
              {{sample({5})}, {}}};
    },
};

const OpDef op::place = {
    .name = "place",
    .doc = "Zeros of the given shape with x at start + i * step: the adjoint of slice.",
    .attrs = {{"shape", AttrKind::integers, Ints{}, "extents of the result", true}, kStart, kStep},
    .tier = Tier::assemble,
    .infer = infer_place,
    .vjp = [](VjpArgs& a) { a.dx[0] = slice_of(a.dy[0], a.attrs, a.in[0].shape()); },
    .saves = Saves::nothing,
    .pieces = [](const Attrs& attrs, std::span<const Type> in, const Type& out) -> std::vector<Piece> {
      if (in[0].shape == out.shape && Shape(attrs.ints("step")) == ones(out.shape.rank())) return {whole(0, out.shape)};
      return {fill(0, out.shape), part_at(0, attrs, in[0].shape)};
    },
    .samples = []() -> std::vector<Sample> {
      return {{{sample({2, 3})}, {{"shape", Ints{6, 5}}, {"start", Ints{1, 0}}, {"step", Ints{3, 2}}}},
              {{sample({3})}, {{"shape", Ints{7}}, {"start", Ints{5}}, {"step", Ints{-2}}}},
              {{sample({0, 2})}, {{"shape", Ints{3, 2}}, {"start", Ints{0, 1}}, {"step", Ints{1, -1}}}},
              {{sample({1, 3})}, {{"shape", Ints{4, 3}}, {"start", Ints{3, 0}}, {"step", Ints{1, 1}}}}};
    },
};

const OpDef op::slice_update = {
    .name = "slice_update",
    .doc = "y = base, but y[start + i * step] = update[i].",
    .min_inputs = 2,
    .max_inputs = 2,
    .attrs = {kStart, kStep},
    .tier = Tier::assemble,
    .infer = infer_slice_update,
    .vjp = slice_update_vjp,
    .saves = Saves::nothing,
    .pieces = [](const Attrs& attrs, std::span<const Type> in, const Type& out) -> std::vector<Piece> {
      return {whole(0, out.shape), part_at(1, attrs, in[1].shape)};
    },
    .samples = []() -> std::vector<Sample> {
      return {{{sample({6, 5}), sample({2, 3})}, {{"start", Ints{1, 0}}, {"step", Ints{3, 2}}}},
              {{sample({7}), sample({3})}, {{"start", Ints{6}}, {"step", Ints{-2}}}},
              {{sample({2, 4}), sample({2, 4})}, {{"start", Ints{0, 0}}, {"step", Ints{1, 1}}}},
              {{sample({3, 2}), sample({0, 2})}, {{"start", Ints{0, 0}}, {"step", Ints{1, 1}}}}};
    },
};

const OpDef op::stack = {
    .name = "stack",
    .doc = "Equally typed operands along a new axis.",
    .max_inputs = -1,
    .attrs = {{"axis", AttrKind::integer, int64_t{0}, "the new axis in the result, negative counts from the end"}},
    .infer = infer_stack,
    .decompose = decompose_stack,
    .promotes = true,
    .saves = Saves::nothing,
    .samples = []() -> std::vector<Sample> {
      return {{{sample({2, 3}), sample({2, 3})}, {}},
              {{sample({2, 3}), sample({2, 3}), sample({2, 3})}, {{"axis", -1}}},
              {{sample({}), sample({})}, {}},
              {{sample({0, 2}), sample({0, 2})}, {{"axis", 1}}}};
    },
};

}  // namespace backplane::graph
