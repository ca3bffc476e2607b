// SPDX-License-Identifier: Apache-2.0
// Sorting along an axis, and the first elements of that order. Stable, NaN larger than every number.
//
// The decomposition is a bitonic network (Batcher, 1968) over rows padded to a power of two: log2(n)^2 / 2 rounds of
// views and comparisons, each of which is one pointwise launch after fusion. Positions travel with the values and break
// ties, so that the order is stable, which no network is by itself.
#include <cmath>

#include "ops/common.h"
#include "ops/index.h"

namespace backplane::graph {

namespace {

int axis_of(const Attrs& attrs, const Shape& x, std::string_view op) {
  return static_cast<int>(normalize_axis(attrs.i64("axis"), x.rank(), op));
}

std::vector<Type> infer_sort(const InferArgs& args) {
  require_kind(args, Kinds::computed);
  const Type& x = args.in[0];
  if (x.shape[axis_of(args.attrs, x.shape, args.op)] > INT32_MAX) args.fail("positions do not fit i32");
  return {x, {i32, x.shape}};
}

std::vector<Type> infer_top_k(const InferArgs& args) {
  require_kind(args, Kinds::computed);
  Type values = args.in[0];
  const int axis = axis_of(args.attrs, values.shape, args.op);
  const int64_t k = args.attrs.i64("k"), n = values.shape[axis];
  if (k < 0) args.fail("k is negative");
  if (n != dyn && k > n) {
    args.fail("k = " + std::to_string(k) + " is more than the " + std::to_string(n) + " elements along axis " +
              std::to_string(axis));
  }
  if (n > INT32_MAX) args.fail("positions do not fit i32");
  values.shape[axis] = k;
  return {values, {i32, values.shape}};
}

template <uint32_t kCode>
void encode(const Attrs& attrs, std::span<const Type> in, std::span<const Type>, KernelOp& op) {
  bp_sort_attrs native{};
  native.size = sizeof native;
  native.axis = static_cast<uint32_t>(axis_of(attrs, in[0].shape, "sort"));
  native.descending = attrs.flag("descending") ? 1 : 0;
  op.code = kCode;
  op.set_attrs(native);
}

// The network ---------------------------------------------------------------------------------------------------------

/// Rows [rows, m] of values, each with its position in the row before sorting.
struct Rows {
  Sym values, places;
};

/// NaN after every number, equal to itself.
Sym less(Sym a, Sym b) {
  const Sym below = binary(op::lt, a, b);
  if (!is_float(a.dtype())) return below;
  const Sym number = binary(op::eq, a, a), nan = binary(op::ne, b, b);
  return binary(op::bit_or, below, binary(op::bit_and, number, nan));
}

/// Where a comes before b; positions from `n` on are padding and come last.
Sym comes_first(const Rows& a, const Rows& b, bool descending, bool padded, int64_t n) {
  const Sym before = descending ? less(b.values, a.values) : less(a.values, b.values);
  const Sym after = descending ? less(a.values, b.values) : less(b.values, a.values);
  const Sym tie = binary(op::bit_and, unary(op::logical_not, after), binary(op::lt, a.places, b.places));
  const Sym first = binary(op::bit_or, before, tie);
  if (!padded) return first;
  const Sym end = scalar(*a.places.builder, static_cast<double>(n), i32);
  return binary(op::bit_and, binary(op::bit_or, first, binary(op::le, end, b.places)), binary(op::lt, a.places, end));
}

Sym flipped(Sym x) { return apply1(op::flip, {{"axes", Ints{3}}}, {x}); }

/// One round: in blocks of `width`, each element of the lower half meets one of the upper half, the mirrored one in the
/// first round of a merge (then both halves may be ascending) and the one at its own place in the others.
Rows meet(const Rows& x, int64_t width, bool mirrored, bool descending, int64_t n) {
  const int64_t rows = x.values.shape()[0], m = x.values.shape()[1], half = width / 2, blocks = m / width;
  const auto part = [&](Sym s, int64_t which) {
    const Sym halves = slice(reshape(s, {rows, blocks, 2, half}), Ints{0, 0, which, 0},
                             Ints{rows, blocks, which + 1, half}, Ints{1, 1, 1, 1});
    return which == 1 && mirrored ? flipped(halves) : halves;
  };
  const Rows low{part(x.values, 0), part(x.places, 0)}, high{part(x.values, 1), part(x.places, 1)};
  const Sym first = comes_first(low, high, descending, m != n, n);
  const auto choose = [&](Sym a, Sym b) {
    const Sym upper = where(first, b, a);
    const Sym joined =
        apply1(op::concat, {{"axis", int64_t{2}}}, {where(first, a, b), mirrored ? flipped(upper) : upper});
    return reshape(joined, {rows, m});
  };
  return {choose(low.values, high.values), choose(low.places, high.places)};
}

Ints axis_last(int axis, int rank) {
  Ints order;
  for (int i = 0; i < rank; ++i) {
    if (i != axis) order.push_back(i);
  }
  order.push_back(axis);
  return order;
}

std::vector<Sym> decompose_sort(const DecomposeArgs& a) {
  const Sym x = a.in[0];
  const int axis = axis_of(a.attrs, x.shape(), "sort");
  const int64_t n = x.shape()[axis];
  if (n <= 1 || x.type().elements() == 0) return {x, full(a.builder, 0, i32, x.shape())};
  const Ints order = axis_last(axis, x.rank());
  Ints back(order.size());
  for (size_t i = 0; i < order.size(); ++i) back[static_cast<size_t>(order[i])] = static_cast<int64_t>(i);

  const Sym moved = permute(x, order);
  const int64_t count = x.type().elements() / n;
  int64_t m = 1;
  while (m < n) m *= 2;
  Rows rows{reshape(moved, {count, n}), expand(reshape(iota(a.builder, m, i32), {1, m}), {count, m})};
  if (m != n) {
    rows.values = apply1(op::pad, {{"low", Ints{0, 0}}, {"high", Ints{0, m - n}}, {"value", 0.0}}, {rows.values});
  }
  const bool descending = a.attrs.flag("descending");
  for (int64_t merged = 2; merged <= m; merged *= 2) {
    for (int64_t width = merged; width >= 2; width /= 2) rows = meet(rows, width, width == merged, descending, n);
  }
  const auto finish = [&](Sym s) {
    return permute(reshape(slice(s, Ints{0, 0}, Ints{count, n}, Ints{1, 1}), moved.shape()), back);
  };
  return {finish(rows.values), finish(rows.places)};
}

std::vector<Sym> decompose_top_k(const DecomposeArgs& a) {
  const Sym x = a.in[0];
  const int axis = axis_of(a.attrs, x.shape(), "top_k");
  std::vector<Sym> sorted =
      apply(op::sort, {{"axis", int64_t{axis}}, {"descending", a.attrs.flag("descending")}}, {x});
  Ints start(static_cast<size_t>(x.rank()), 0), stop = x.shape().vector(), step(start.size(), 1);
  stop[static_cast<size_t>(axis)] = a.attrs.i64("k");
  for (Sym& s : sorted) s = slice(s, start, stop, step);
  return sorted;
}

/// Each value came from one place, which gets its gradient; places that were not taken get none.
void vjp(VjpArgs& a) {
  if (!a.dy[0]) return;
  const Sym x = a.in[0], dy = a.dy[0];
  const Sym list = flat_positions(x.shape(), axis_of(a.attrs, x.shape(), "sort"), a.out[1]);
  const Sym updates = reshape(dy, {1, dy.type().elements(), 1});
  const Sym zeros = full(a.builder, 0, x.dtype(), {1, x.type().elements(), 1});
  a.dx[0] = reshape(apply1(op::scatter_add_rows, {}, {zeros, list, updates}), x.shape());
}

/// About log2(n) comparisons of each element.
Cost cost(const Attrs& attrs, std::span<const Type> in, std::span<const Type> out) {
  const double n = static_cast<double>(in[0].shape[axis_of(attrs, in[0].shape, "sort")]);
  return {static_cast<double>(in[0].elements()) * std::log2(std::max(n, 2.0)),
          static_cast<double>(in[0].bytes() + out[0].bytes() + out[1].bytes())};
}

constexpr std::string_view kAxisDoc = "the axis to sort along, negative counts from the end";

}  // namespace

const OpDef op::sort = {
    .name = "sort",
    .doc = "(values, indices) of x in ascending order along `axis`: values[j] = x[indices[j]], indices i32. Equal "
           "elements keep their order, also when descending; NaN is larger than every number.",
    .outputs = 2,
    .attrs = {{"axis", AttrKind::integer, int64_t{-1}, kAxisDoc},
              {"descending", AttrKind::boolean, false, "the largest first"}},
    .infer = infer_sort,
    .decompose = decompose_sort,
    .vjp = vjp,
    .native = {BP_OP_SORT, encode<BP_OP_SORT>},
    .saves = Saves::outputs,
    .cost = cost,
    .samples = []() -> std::vector<Sample> {
      return {{{sample({4, 7})}, {}},
              {{sample({2, 5, 3})}, {{"axis", 1}, {"descending", true}}},
              {{sample({33, 2})}, {{"axis", 0}}},
              {{sample({3, 8})}, {{"descending", true}}},
              {{sample({2, 19}, -3, 4, i32)}, {{"descending", true}}},  // many are equal
              {{sample({21}, 0, 2, boolean)}, {}},
              {{sample({3, 1})}, {}},
              {{sample({0, 3})}, {}},
              {{sample({3, 0})}, {}}};
    },
};

const OpDef op::top_k = {
    .name = "top_k",
    .doc = "(values, indices) of the k largest elements along `axis`, the largest first, or of the k smallest: the first "
           "k of sort's order.",
    .outputs = 2,
    .attrs = {{"k", AttrKind::integer, int64_t{0}, "how many, at most x's extent", true},
              {"axis", AttrKind::integer, int64_t{-1}, kAxisDoc},
              {"descending", AttrKind::boolean, true, "the largest; else the smallest"}},
    .infer = infer_top_k,
    .decompose = decompose_top_k,
    .vjp = vjp,
    .native = {BP_OP_TOP_K, encode<BP_OP_TOP_K>},
    .saves = Saves::outputs,
    .cost = cost,
    .samples = []() -> std::vector<Sample> {
      return {{{sample({4, 7})}, {{"k", 3}}},
              {{sample({2, 5, 3})}, {{"k", 2}, {"axis", 1}, {"descending", false}}},
              {{sample({40, 3})}, {{"k", 1}, {"axis", 0}}},
              {{sample({2, 6})}, {{"k", 6}}},
              {{sample({2, 70}, -3, 4, i32)}, {{"k", 20}}},
              {{sample({3, 5})}, {{"k", 0}}},
              {{sample({0, 5})}, {{"k", 2}}}};
    },
};

}  // namespace backplane::graph
