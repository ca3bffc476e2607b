// SPDX-License-Identifier: Apache-2.0
// Counting: iota, and one_hot, which compares with it.

#include "ops/common.h"

namespace backplane::graph {

namespace {

std::vector<Type> infer_one_hot(const InferArgs& args) {
  require_index_dtype(args, 0);
  if (args.in[0].shape.rank() == BP_MAX_RANK) args.fail("the result would have a rank above 8");
  if (args.attrs.i64("depth") < 0) args.fail("depth is negative");
  Shape out = args.in[0].shape;
  out.push_back(args.attrs.i64("depth"));
  return {{args.attrs.dtype("dtype"), out}};
}

std::vector<Sym> decompose_one_hot(const DecomposeArgs& a) {
  const Sym index = unsqueeze(a.in[0], -1);
  return {cast(binary(op::eq, index, iota(a.builder, a.attrs.i64("depth"), index.dtype())), a.attrs.dtype("dtype"))};
}

template <class T>
Sym counting(Builder& builder, Type type) {
  std::vector<std::byte> bytes(static_cast<size_t>(type.bytes()));
  T* at = reinterpret_cast<T*>(bytes.data());
  for (int64_t i = 0; i < type.elements(); ++i) at[i] = static_cast<T>(i);
  return builder.constant(type, std::move(bytes));
}

std::vector<Sym> decompose_iota(const DecomposeArgs& a) {
  const Type type{a.attrs.dtype("dtype"), {a.attrs.i64("n")}};
  switch (type.dtype) {
    case DType::f32:
      return {counting<float>(a.builder, type)};
    case DType::f64:
      return {counting<double>(a.builder, type)};
    case DType::i64:
      return {counting<int64_t>(a.builder, type)};
    case DType::i32:
      return {counting<int32_t>(a.builder, type)};
    default:
      return {cast(counting<float>(a.builder, {f32, type.shape}), type.dtype)};
  }
}

}  // namespace

const OpDef op::iota = {
    .name = "iota",
    .doc = "y[i] = i, for i in 0 ... n - 1.",
    .min_inputs = 0,
    .max_inputs = 0,
    .attrs = {{"n", AttrKind::integer, int64_t{0}, "number of elements", true},
              {"dtype", AttrKind::dtype, i32, "dtype of the result"}},
    .infer = [](const InferArgs& args) -> std::vector<Type> {
      if (args.attrs.i64("n") < 0) args.fail("n is negative");
      return {{args.attrs.dtype("dtype"), {args.attrs.i64("n")}}};
    },
    .decompose = decompose_iota,
    .gradient = Gradient::blocked,
    .smooth = false,
    .saves = Saves::nothing,
    .samples = []() -> std::vector<Sample> {
      return {{{}, {{"n", 7}}}, {{}, {{"n", 1}, {"dtype", f32}}}, {{}, {{"n", 0}}}, {{}, {{"n", 5}, {"dtype", bf16}}}};
    },
};

const OpDef op::one_hot = {
    .name = "one_hot",
    .doc = "y[.., j] = 1 where j equals the index, else 0; an index outside 0 ... depth - 1 gives zeros.",
    .attrs = {{"depth", AttrKind::integer, int64_t{0}, "extent of the new last axis", true},
              {"dtype", AttrKind::dtype, f32, "dtype of the result"}},
    .fusion = Fusion::elementwise,
    .infer = infer_one_hot,
    .decompose = decompose_one_hot,
    .gradient = Gradient::blocked,
    .smooth = false,
    .saves = Saves::nothing,
    .samples = []() -> std::vector<Sample> {
      return {{{sample({4}, 0, 6, i32)}, {{"depth", 6}}},
              {{sample({2, 3}, -1, 6, DType::i64)}, {{"depth", 5}, {"dtype", f64}}},
              {{sample({0}, 0, 3, i32)}, {{"depth", 3}}},
              {{sample({}, 0, 3, i32)}, {{"depth", 3}, {"dtype", i32}}}};
    },
};

}  // namespace backplane::graph
