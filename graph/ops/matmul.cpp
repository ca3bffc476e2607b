// SPDX-License-Identifier: Apache-2.0
// Matrix products: batch_matmul as devices know it, and matmul with NumPy's rules for ranks and broadcasting.

#include "ops/common.h"

namespace backplane::graph {

namespace {

/// [.., M, N] for operands [.., M, K] and [.., K, N].
Shape product_shape(const InferArgs& args) {
  require_same_dtype(args, 0, 1);
  const Shape &a = args.in[0].shape, &b = args.in[1].shape;
  const int rank = a.rank();
  if (rank != b.rank() || rank < 2) args.fail("operands need the same rank of at least 2");
  for (int i = 0; i < rank - 2; ++i) {
    if (a[i] != b[i]) args.fail("batch extents differ on axis " + std::to_string(i), "expand one of the operands");
  }
  if (a[rank - 1] != b[rank - 2]) {
    args.fail("inner extents differ: " + std::to_string(a[rank - 1]) + " and " + std::to_string(b[rank - 2]));
  }
  Shape out = a;
  out[rank - 1] = b[rank - 1];
  return out;
}

std::vector<Type> infer_batch_matmul(const InferArgs& args) {
  require_kind(args, Kinds::numeric);
  return {{args.in[0].dtype, product_shape(args)}};
}

std::vector<Type> infer_batch_matmul_f8(const InferArgs& args) {
  if (!is_f8(args.in[0].dtype)) args.fail("operands are no 8-bit floats", "use batch_matmul");
  return {{f32, product_shape(args)}};
}

void batch_matmul_vjp(VjpArgs& v) {
  if (v.wants[0]) v.dx[0] = binary(op::batch_matmul, v.dy[0], transpose(v.in[1]));
  if (v.wants[1]) v.dx[1] = binary(op::batch_matmul, transpose(v.in[0]), v.dy[0]);
}

/// The gradients of 8-bit values are f32.
void batch_matmul_f8_vjp(VjpArgs& v) {
  if (v.wants[0]) v.dx[0] = binary(op::batch_matmul, v.dy[0], transpose(cast(v.in[1], f32)));
  if (v.wants[1]) v.dx[1] = binary(op::batch_matmul, transpose(cast(v.in[0], f32)), v.dy[0]);
}

std::vector<Sym> decompose_batch_matmul_f8(const DecomposeArgs& d) {
  return {binary(op::batch_matmul, cast(d.in[0], f32), cast(d.in[1], f32))};
}

void encode_matmul(const Attrs&, std::span<const Type>, std::span<const Type>, KernelOp& kernel) {
  kernel.code = BP_OP_MATMUL;
}

Cost matmul_cost(const Attrs&, std::span<const Type> in, std::span<const Type> out) {
  const Shape& a = in[0].shape;
  const double k = static_cast<double>(a[a.rank() - 1]);
  return {2 * k * static_cast<double>(out[0].elements()),
          static_cast<double>(in[0].bytes() + in[1].bytes() + out[0].bytes())};
}

/// Shape of the product; `m` and `n` say whether the result has those axes (1-d operands have none).
std::vector<Type> infer_matmul(const InferArgs& args) {
  const DType dtype = args.in[0].dtype;
  if (!is_f8(dtype)) require_kind(args, Kinds::numeric);
  require_same_dtype(args, 0, 1);
  const Shape &a = args.in[0].shape, &b = args.in[1].shape;
  if (a.rank() == 0 || b.rank() == 0) args.fail("operands need at least one axis", "multiply a scalar with *");
  const int64_t ka = a[a.rank() - 1], kb = b[b.rank() == 1 ? 0 : b.rank() - 2];
  if (ka != kb) args.fail("inner extents differ: " + std::to_string(ka) + " and " + std::to_string(kb));
  const Shape batch_a(a.span().first(static_cast<size_t>(std::max(a.rank() - 2, 0))));
  const Shape batch_b(b.span().first(static_cast<size_t>(std::max(b.rank() - 2, 0))));
  Shape out = broadcast_shapes(batch_a, batch_b, args);
  if (a.rank() > 1) out.push_back(a[a.rank() - 2]);
  if (b.rank() > 1) out.push_back(b[b.rank() - 1]);
  return {{is_f8(dtype) ? f32 : dtype, out}};
}

Shape with_batch(std::span<const int64_t> batch, int64_t rows, int64_t columns) {
  Shape out(batch);
  out.push_back(rows);
  out.push_back(columns);
  return out;
}

/// [.., M, K] x [K, N] is one product of [.. * M, K]; otherwise both operands are expanded to the common batch, a view.
std::vector<Sym> decompose_matmul(const DecomposeArgs& d) {
  Sym a = d.in[0], b = d.in[1];
  const OpDef& product_of = is_f8(a.dtype()) ? op::batch_matmul_f8 : op::batch_matmul;
  const Shape out = infer_matmul({"matmul", d.attrs, std::vector<Type>{a.type(), b.type()}, {}})[0].shape;
  if (a.rank() == 1) a = unsqueeze(a, 0);
  if (b.rank() == 1) b = unsqueeze(b, 1);
  const int64_t m = a.shape()[a.rank() - 2], k = a.shape()[a.rank() - 1], n = b.shape()[b.rank() - 1];
  if (b.rank() == 2) {
    const int64_t rows = product(a.shape(), 0, a.rank() - 1);
    return {reshape(binary(product_of, reshape(a, {rows, k}), b), out)};
  }
  const int used = (d.in[0].rank() > 1 ? 1 : 0) + (d.in[1].rank() > 1 ? 1 : 0);
  const auto batch = out.span().first(static_cast<size_t>(out.rank() - used));
  const Sym wide_a = expand(a, with_batch(batch, m, k)), wide_b = expand(b, with_batch(batch, k, n));
  return {reshape(binary(product_of, wide_a, wide_b), out)};
}

}  // namespace

const OpDef op::batch_matmul = {
    .name = "batch_matmul",
    .doc =
        "c[.., m, n] = sum over k of a[.., m, k] b[.., k, n]; equal ranks of at least 2 and equal batch extents. "
        "Halves accumulate in f32.",
    .min_inputs = 2,
    .max_inputs = 2,
    .tier = Tier::primitive,
    .fusion = Fusion::contraction,
    .infer = infer_batch_matmul,
    .vjp = batch_matmul_vjp,
    .native = {BP_OP_MATMUL, encode_matmul},
    .promotes = true,
    .saves = Saves::inputs,
    .cost = matmul_cost,
    .samples = []() -> std::vector<Sample> {
      return {{{sample({4, 8}), sample({8, 5})}, {}},       {{sample({3, 7}), sample({7, 1})}, {}},
              {{sample({1, 33}), sample({33, 17})}, {}},    {{sample({2, 3, 4, 5}), sample({2, 3, 5, 6})}, {}},
              {{sample({2, 0, 4}), sample({2, 4, 3})}, {}}, {{sample({3, 0}), sample({0, 2})}, {}}};
    },
};

const OpDef op::batch_matmul_f8 = {
    .name = "batch_matmul_f8",
    .doc =
        "batch_matmul of 8-bit floats of one dtype; c is f32, whose scales are the caller's business. Where the device has "
        "no such product, one of f32. The gradients of 8-bit values are f32.",
    .min_inputs = 2,
    .max_inputs = 2,
    .fusion = Fusion::contraction,
    .infer = infer_batch_matmul_f8,
    .decompose = decompose_batch_matmul_f8,
    .vjp = batch_matmul_f8_vjp,
    .native = {BP_OP_MATMUL, encode_matmul},
    .saves = Saves::inputs,
    .cost = matmul_cost,
    .samples = []() -> std::vector<Sample> {
      return {{{sample({4, 8}, -2, 2, f8_e4m3), sample({8, 5}, -2, 2, f8_e4m3)}, {}, false},
              {{sample({2, 3, 17}, -2, 2, f8_e5m2), sample({2, 17, 6}, -2, 2, f8_e5m2)}, {}, false},
              {{sample({2, 0, 4}, -2, 2, f8_e4m3), sample({2, 4, 3}, -2, 2, f8_e4m3)}, {}, false}};
    },
};

const OpDef op::matmul = {
    .name = "matmul",
    .doc =
        "Matrix product as in NumPy: a[.., M, K] x b[.., K, N] -> c[.., M, N], batch axes broadcast; a 1-d operand is "
        "a row on the left or a column on the right, and the axis it lacks is missing in the result. Products of 8-bit "
        "floats are f32.",
    .min_inputs = 2,
    .max_inputs = 2,
    .fusion = Fusion::contraction,
    .infer = infer_matmul,
    .decompose = decompose_matmul,
    .promotes = true,
    .saves = Saves::inputs,
    .cost = matmul_cost,
    .samples = []() -> std::vector<Sample> {
      return {{{sample({4, 8}), sample({8, 5})}, {}},
              {{sample({2, 3, 5}), sample({5, 4})}, {}},
              {{sample({2, 1, 3, 5}), sample({4, 5, 2})}, {}},
              {{sample({7}), sample({7})}, {}},
              {{sample({3, 7}), sample({7})}, {}},
              {{sample({4}), sample({2, 4, 3})}, {}},
              {{sample({2, 3, 4}), sample({4})}, {}},
              {{sample({5, 3}), sample({2, 3, 4})}, {}},
              {{sample({0, 3}), sample({3, 2})}, {}}};
    },
};

}  // namespace backplane::graph
