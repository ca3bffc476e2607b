// SPDX-License-Identifier: Apache-2.0
// Indexed reading and adding. Devices know [outer, n, inner] with a list of indices; everything else is reshaping.
// An index outside 0 ... n - 1 reads zeros and adds nowhere, in every op here.

#include "ops/index.h"

#include "ops/common.h"

namespace backplane::graph {

namespace {

template <uint32_t Code>
void encode(const Attrs&, std::span<const Type>, std::span<const Type>, KernelOp& op) {
  op.code = Code;
}

// Primitives ----------------------------------------------------------------------------------------------------------

std::vector<Type> infer_gather_rows(const InferArgs& args) {
  require_index_dtype(args, 1);
  const Shape &x = args.in[0].shape, &indices = args.in[1].shape;
  if (x.rank() != 3 || indices.rank() != 1) args.fail("wanted are x[outer, n, inner] and indices[k]", "use gather");
  return {{args.in[0].dtype, {x[0], indices[0], x[2]}}};
}

void gather_rows_vjp(VjpArgs& a) {
  a.dx[0] = apply1(op::scatter_add_rows, {}, {zeros_like(a.in[0]), a.in[1], a.dy[0]});
}

std::vector<Type> infer_scatter_add_rows(const InferArgs& args) {
  require_kind(args, Kinds::numeric);
  require_index_dtype(args, 1);
  require_same_dtype(args, 0, 2);
  const Shape &base = args.in[0].shape, &indices = args.in[1].shape, &updates = args.in[2].shape;
  const bool fits = base.rank() == 3 && indices.rank() == 1 && updates.rank() == 3 && updates[0] == base[0] &&
                    updates[1] == indices[0] && updates[2] == base[2];
  if (!fits) args.fail("wanted are base[outer, n, inner], indices[k] and updates[outer, k, inner]", "use scatter_add");
  return {args.in[0]};
}

void scatter_add_rows_vjp(VjpArgs& a) {
  a.dx[0] = a.dy[0];
  if (a.wants[2]) a.dx[2] = apply1(op::gather_rows, {}, {a.dy[0], a.in[1]});
}

/// Reads as many elements of x as there are in y, not all of x.
Cost gather_cost(const Attrs&, std::span<const Type> in, std::span<const Type> out) {
  return {0, static_cast<double>(in[1].bytes() + 2 * out[0].bytes())};
}
Cost scatter_cost(const Attrs&, std::span<const Type> in, std::span<const Type> out) {
  return {static_cast<double>(in[2].elements()),
          static_cast<double>(in[0].bytes() + in[1].bytes() + in[2].bytes() + out[0].bytes())};
}

// gather, scatter_add -------------------------------------------------------------------------------------------------

int axis_of(const Attrs& attrs, const Shape& x, std::string_view op) {
  return static_cast<int>(normalize_axis(attrs.i64("axis"), x.rank(), op));
}

/// x's shape with `axis` replaced by the axes of the indices.
Shape gathered_shape(const InferArgs& args, const Shape& x, int axis, const Shape& indices) {
  if (x.rank() - 1 + indices.rank() > BP_MAX_RANK) args.fail("the result would have a rank above 8");
  Shape out;
  for (int i = 0; i < axis; ++i) out.push_back(x[i]);
  for (const int64_t extent : indices) out.push_back(extent);
  for (int i = axis + 1; i < x.rank(); ++i) out.push_back(x[i]);
  return out;
}

std::vector<Type> infer_gather(const InferArgs& args) {
  require_index_dtype(args, 1);
  const Shape& x = args.in[0].shape;
  return {{args.in[0].dtype, gathered_shape(args, x, axis_of(args.attrs, x, args.op), args.in[1].shape)}};
}

Sym as_rows(Sym x, int axis, int axes) {
  const Shape& s = x.shape();
  return reshape(x, {product(s, 0, axis), product(s, axis, axis + axes), product(s, axis + axes, s.rank())});
}

std::vector<Sym> decompose_gather(const DecomposeArgs& a) {
  const Sym x = a.in[0], indices = a.in[1];
  const std::vector<Type> in = {x.type(), indices.type()};
  const Shape out = infer_gather({"gather", a.attrs, in, {}})[0].shape;
  const Sym list = reshape(indices, {indices.type().elements()});
  return {reshape(binary(op::gather_rows, as_rows(x, axis_of(a.attrs, x.shape(), "gather"), 1), list), out)};
}

std::vector<Type> infer_scatter_add(const InferArgs& args) {
  require_kind(args, Kinds::numeric);
  require_index_dtype(args, 1);
  require_same_dtype(args, 0, 2);
  const Shape& base = args.in[0].shape;
  const Shape wanted = gathered_shape(args, base, axis_of(args.attrs, base, args.op), args.in[1].shape);
  if (args.in[2].shape != wanted) args.fail("updates need shape " + wanted.to_string());
  return {args.in[0]};
}

std::vector<Sym> decompose_scatter_add(const DecomposeArgs& a) {
  const Sym base = a.in[0], indices = a.in[1];
  const int axis = axis_of(a.attrs, base.shape(), "scatter_add");
  const Sym list = reshape(indices, {indices.type().elements()});
  const Sym sums =
      apply1(op::scatter_add_rows, {}, {as_rows(base, axis, 1), list, as_rows(a.in[2], axis, indices.rank())});
  return {reshape(sums, base.shape())};
}

// take_along_axis -----------------------------------------------------------------------------------------------------

std::vector<Type> infer_take(const InferArgs& args) {
  require_index_dtype(args, 1);
  const Shape &x = args.in[0].shape, &indices = args.in[1].shape;
  const int axis = axis_of(args.attrs, x, args.op);
  bool fits = indices.rank() == x.rank();
  for (int i = 0; fits && i < x.rank(); ++i) fits = i == axis || indices[i] == x[i];
  if (!fits) args.fail("indices have to have x's extents on all axes but " + std::to_string(axis));
  return {{args.in[0].dtype, indices}};
}

std::vector<Sym> decompose_take(const DecomposeArgs& a) {
  const Sym x = a.in[0];
  const Sym list = flat_positions(x.shape(), axis_of(a.attrs, x.shape(), "take_along_axis"), a.in[1]);
  const Sym flat = reshape(x, {1, x.type().elements(), 1});
  return {reshape(binary(op::gather_rows, flat, list), a.in[1].shape())};
}

const AttrSpec kAxis{"axis", AttrKind::integer, int64_t{0}, "the indexed axis, negative counts from the end"};

}  // namespace

Sym flat_positions(const Shape& shape, int axis, Sym indices) {
  Builder& builder = *indices.builder;
  const int64_t outer = product(shape, 0, axis), n = shape[axis], inner = product(shape, axis + 1, shape.rank());
  const DType wide = shape.elements() > INT32_MAX ? i64 : indices.dtype();
  const Sym index = cast(as_rows(indices, axis, 1), wide);
  const Sym base_o = reshape(iota(builder, outer, wide), {outer, 1, 1}) * static_cast<double>(n * inner);
  const Sym base_i = reshape(iota(builder, inner, wide), {1, 1, inner});
  const Sym inside = binary(op::bit_and, binary(op::le, scalar(builder, 0, wide), index),
                            binary(op::lt, index, scalar(builder, static_cast<double>(n), wide)));
  const Sym flat = where(inside, index * static_cast<double>(inner) + base_o + base_i, scalar(builder, -1, wide));
  return reshape(flat, {flat.type().elements()});
}

const OpDef op::gather_rows = {
    .name = "gather_rows",
    .doc =
        "y[o, k, i] = x[o, indices[k], i] for x[outer, n, inner], indices[k] i32 or i64; zeros for an index outside 0 "
        "... n - 1.",
    .min_inputs = 2,
    .max_inputs = 2,
    .tier = Tier::primitive,
    .infer = infer_gather_rows,
    .vjp = gather_rows_vjp,
    .native = {BP_OP_GATHER, encode<BP_OP_GATHER>},
    .saves = Saves::inputs,
    .cost = gather_cost,
    .samples = []() -> std::vector<Sample> {
      return {{{sample({2, 5, 3}), sample({4}, 0, 5, i32)}, {}},
              {{sample({1, 7, 1}), sample({9}, -2, 9, i32)}, {}},
              {{sample({3, 1, 2}), sample({2}, 0, 1, DType::i64)}, {}},
              {{sample({2, 4, 3}), sample({0}, 0, 4, i32)}, {}},
              {{sample({0, 4, 3}), sample({2}, 0, 4, i32)}, {}}};
    },
};

const OpDef op::scatter_add_rows = {
    .name = "scatter_add_rows",
    .doc =
        "y = base, then y[o, indices[k], i] += updates[o, k, i] for every k; an index outside 0 ... n - 1 is left out.",
    .min_inputs = 3,
    .max_inputs = 3,
    .tier = Tier::primitive,
    .infer = infer_scatter_add_rows,
    .vjp = scatter_add_rows_vjp,
    .native = {BP_OP_SCATTER_ADD, encode<BP_OP_SCATTER_ADD>},
    .saves = Saves::inputs,
    .cost = scatter_cost,
    .samples = []() -> std::vector<Sample> {
      return {{{sample({2, 5, 3}), sample({4}, 0, 5, i32), sample({2, 4, 3})}, {}},
              {{sample({1, 3, 1}), sample({17}, -1, 4, i32), sample({1, 17, 1})}, {}},
              {{sample({3, 1, 2}), sample({2}, 0, 1, DType::i64), sample({3, 2, 2})}, {}},
              {{sample({2, 4, 3}), sample({0}, 0, 4, i32), sample({2, 0, 3})}, {}}};
    },
};

const OpDef op::gather = {
    .name = "gather",
    .doc = "x with `axis` replaced by the axes of the indices: y[a.., j.., b..] = x[a.., indices[j..], b..].",
    .min_inputs = 2,
    .max_inputs = 2,
    .attrs = {kAxis},
    .infer = infer_gather,
    .decompose = decompose_gather,
    .saves = Saves::inputs,
    .cost = gather_cost,
    .samples = []() -> std::vector<Sample> {
      return {{{sample({5, 3}), sample({4}, 0, 5, i32)}, {}},
              {{sample({2, 5, 3}), sample({2, 2}, 0, 5, i32)}, {{"axis", 1}}},
              {{sample({2, 6}), sample({3}, -1, 7, DType::i64)}, {{"axis", -1}}},
              {{sample({4, 1}), sample({}, 0, 4, i32)}, {}},
              {{sample({4, 2}), sample({0}, 0, 4, i32)}, {}}};
    },
};

const OpDef op::scatter_add = {
    .name = "scatter_add",
    .doc =
        "y = base, then y[a.., indices[j..], b..] += updates[a.., j.., b..]; updates have the shape of gather(base, "
        "indices).",
    .min_inputs = 3,
    .max_inputs = 3,
    .attrs = {kAxis},
    .infer = infer_scatter_add,
    .decompose = decompose_scatter_add,
    .saves = Saves::inputs,
    .cost = scatter_cost,
    .samples = []() -> std::vector<Sample> {
      return {{{sample({5, 3}), sample({4}, 0, 5, i32), sample({4, 3})}, {}},
              {{sample({2, 5, 3}), sample({2, 2}, 0, 5, i32), sample({2, 2, 2, 3})}, {{"axis", 1}}},
              {{sample({2, 3}), sample({9}, -1, 4, DType::i64), sample({2, 9})}, {{"axis", -1}}},
              {{sample({4, 2}), sample({0}, 0, 4, i32), sample({0, 2})}, {}}};
    },
};

const OpDef op::take_along_axis = {
    .name = "take_along_axis",
    .doc =
        "y has the shape of the indices and reads x at them along `axis`; for axis 1: y[a, j, b] = x[a, indices[a, j, "
        "b], b].",
    .min_inputs = 2,
    .max_inputs = 2,
    .attrs = {{"axis", AttrKind::integer, int64_t{-1}, "the indexed axis, negative counts from the end"}},
    .infer = infer_take,
    .decompose = decompose_take,
    .saves = Saves::inputs,
    .cost = gather_cost,
    .samples = []() -> std::vector<Sample> {
      return {{{sample({4, 6}), sample({4, 1}, 0, 6, i32)}, {}},
              {{sample({3, 5, 2}), sample({3, 4, 2}, 0, 5, i32)}, {{"axis", 1}}},
              {{sample({5, 3}), sample({2, 3}, -1, 6, DType::i64)}, {{"axis", 0}}},
              {{sample({0, 3}), sample({0, 2}, 0, 3, i32)}, {}},
              {{sample({7}), sample({7}, 0, 7, i32)}, {}}};
    },
};

const OpDef op::embedding = {
    .name = "embedding",
    .doc = "y[j.., d..] = table[indices[j..], d..].",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = [](const InferArgs& args) -> std::vector<Type> {
      require_index_dtype(args, 1);
      if (args.in[0].shape.rank() == 0) args.fail("the table needs at least one axis");
      return {{args.in[0].dtype, gathered_shape(args, args.in[0].shape, 0, args.in[1].shape)}};
    },
    .decompose = [](const DecomposeArgs& a) -> std::vector<Sym> {
      return apply(op::gather, {{"axis", int64_t{0}}}, {a.in[0], a.in[1]});
    },
    .saves = Saves::inputs,
    .cost = gather_cost,
    .samples = []() -> std::vector<Sample> {
      return {{{sample({10, 4}), sample({2, 3}, 0, 10, i32)}, {}},
              {{sample({5, 1}), sample({7}, 0, 5, DType::i64)}, {}},
              {{sample({5, 2, 3}), sample({0}, 0, 5, i32)}, {}}};
    },
};

}  // namespace backplane::graph
