// SPDX-License-Identifier: Apache-2.0
// The five basic operations of the reference card against brute force, through the C ABI.
#include <gmock/gmock.h>

#include "reference_card.hpp"

namespace backplane::testing {
namespace {

using ::testing::ElementsAre;
TEST(ReferencePointwise, BroadcastsStridedOperandsToSeveralOutputs) {
  Program p(2);
  const uint16_t sum = p.add(BP_S_ADD, BP_F32, 0, 1), less = p.add(BP_S_LT, BP_BOOL, 0, 1);
  const Tensor x = random_tensor(BP_F32, {3, 50, 7}, 1), row = random_tensor(BP_F32, {50, 1}, 2);
  Case c{BP_OP_POINTWISE, {x.scrambled(), row.broadcast({3, 50, 7})},
         {Tensor(BP_F32, {3, 50, 7}).scrambled(), Tensor(BP_BOOL, {3, 50, 7})}, nullptr, p.done({sum, less})};
  card().run(c);
  for (int64_t i = 0; i < x.size(); ++i) {
    const double y = row.at(i / 7 % 50);
    ASSERT_EQ(c.outputs[0].at(i), static_cast<float>(x.at(i) + y)) << i;
    ASSERT_EQ(c.outputs[1].at(i), x.at(i) < y) << i;
  }
}

TEST(ReferencePointwise, RankZeroEmptyAndPureCopy) {
  Program copy(1);
  Case scalar{BP_OP_POINTWISE, {Tensor(BP_I64, {}, {42})}, {Tensor(BP_I64, {})}, nullptr, copy.done({0})};
  card().run(scalar);
  EXPECT_EQ(scalar.outputs[0].at(0), 42);
  Case empty{BP_OP_POINTWISE, {Tensor(BP_F32, {3, 0, 2})}, {Tensor(BP_F32, {3, 0, 2})}, nullptr, &copy.value};
  card().run(empty);
  Program seven(0);
  const uint16_t id = seven.constant(BP_I32, 7);
  Case fill{BP_OP_POINTWISE, {}, {Tensor(BP_I32, {300})}, nullptr, seven.done({id})};
  card().run(fill);
  EXPECT_THAT(fill.outputs[0].values(), ::testing::Each(7));
}

TEST(ReferencePointwise, OutputMayBeItsInput) {
  Program p(1);
  const uint16_t square = p.add(BP_S_MUL, BP_F32, 0, 0);
  const Tensor x = random_tensor(BP_F32, {1000});
  Case c{BP_OP_POINTWISE, {x}, {x}, nullptr, p.done({square}), 0, 0};
  card().run(c);
  for (int64_t i = 0; i < x.size(); ++i) ASSERT_EQ(c.outputs[0].at(i), static_cast<float>(x.at(i) * x.at(i)));
}

Tensor reduce(uint32_t kind, const Tensor& x, uint32_t axes, bool index = false) {
  const bp_reduce_attrs attrs{sizeof(attrs), kind, axes, 0};
  Shape shape;
  for (uint32_t i = 0; i < x.desc.rank; ++i) shape.push_back((axes >> i & 1) != 0 ? 1 : x.desc.shape[i]);
  Case c{BP_OP_REDUCE, {x}, {Tensor(index ? static_cast<uint32_t>(BP_I32) : x.desc.dtype, shape)}, &attrs};
  card().run(c);
  return c.outputs[0];
}

TEST(ReferenceReduce, SumsAnySetOfAxesOfAnyStrides) {
  const Tensor x = random_tensor(BP_F32, {3, 4, 5, 6});
  for (uint32_t axes = 0; axes < 16; ++axes) {
    std::vector<double> expected;
    for (const Tensor& y : {reduce(BP_REDUCE_SUM, x, axes), reduce(BP_REDUCE_SUM, x.scrambled(), axes)}) {
      std::vector<double> want(static_cast<size_t>(y.size()));
      for (int64_t i = 0; i < x.size(); ++i) {
        int64_t rest = i, at = 0, stride = 1;
        for (int axis = 3; axis >= 0; --axis) {
          const int64_t position = rest % x.desc.shape[axis];
          rest /= x.desc.shape[axis];
          if ((axes >> axis & 1) == 0) {
            at += position * stride;
            stride *= x.desc.shape[axis];
          }
        }
        want[static_cast<size_t>(at)] += x.at(i);
      }
      for (int64_t i = 0; i < y.size(); ++i) ASSERT_FLOAT_EQ(y.at(i), want[static_cast<size_t>(i)]) << axes;
    }
  }
}

TEST(ReferenceReduce, ExtremaProductsAndIndices) {
  const Tensor x(BP_F32, {2, 4}, {1, 7, 7, -2, -1, -5, -1, -9});
  EXPECT_THAT(reduce(BP_REDUCE_MAX, x, 2).values(), ElementsAre(7, -1));
  EXPECT_THAT(reduce(BP_REDUCE_MIN, x, 2).values(), ElementsAre(-2, -9));
  EXPECT_THAT(reduce(BP_REDUCE_PROD, x, 2).values(), ElementsAre(-98, 45));
  EXPECT_THAT(reduce(BP_REDUCE_ARGMAX, x, 2, true).values(), ElementsAre(1, 0));
  EXPECT_THAT(reduce(BP_REDUCE_ARGMIN, x, 2, true).values(), ElementsAre(3, 3));
  EXPECT_THAT(reduce(BP_REDUCE_ARGMIN, x, 3, true).values(), ElementsAre(7));
  EXPECT_THAT(reduce(BP_REDUCE_ARGMAX, x, 1, true).values(), ElementsAre(0, 0, 0, 0));
}

TEST(ReferenceReduce, NaNIsTheExtremum) {
  const Tensor x(BP_F32, {2, 3}, {1, kNaN, 2, 5, 4, kNaN});
  EXPECT_TRUE(std::isnan(reduce(BP_REDUCE_MAX, x, 2).at(0)));
  EXPECT_TRUE(std::isnan(reduce(BP_REDUCE_MIN, x, 2).at(1)));
  EXPECT_THAT(reduce(BP_REDUCE_ARGMAX, x, 2, true).values(), ElementsAre(1, 2));
  EXPECT_THAT(reduce(BP_REDUCE_ARGMIN, x, 2, true).values(), ElementsAre(1, 2));
  EXPECT_THAT(reduce(BP_REDUCE_ARGMIN, x, 3, true).values(), ElementsAre(1));
}

TEST(ReferenceReduce, EmptyAxesGiveTheIdentity) {
  const Tensor x(BP_F32, {2, 0});
  EXPECT_THAT(reduce(BP_REDUCE_SUM, x, 2).values(), ElementsAre(0, 0));
  EXPECT_THAT(reduce(BP_REDUCE_PROD, x, 2).values(), ElementsAre(1, 1));
  EXPECT_THAT(reduce(BP_REDUCE_MAX, x, 2).values(), ElementsAre(-kInf, -kInf));
  EXPECT_THAT(reduce(BP_REDUCE_MIN, x, 2).values(), ElementsAre(kInf, kInf));
  const Tensor integers(BP_I32, {1, 0});
  EXPECT_THAT(reduce(BP_REDUCE_MAX, integers, 2).values(), ElementsAre(-2147483648.0));
  EXPECT_THAT(reduce(BP_REDUCE_MIN, integers, 2).values(), ElementsAre(2147483647.0));
}

TEST(ReferenceReduce, IntegersWrapInTheirOwnType) {
  const Tensor x(BP_I32, {2}, {2147483647.0, 1});
  EXPECT_THAT(reduce(BP_REDUCE_SUM, x, 1).values(), ElementsAre(-2147483648.0));
  const Tensor y(BP_I32, {3}, {65536, 65536, 3});
  EXPECT_THAT(reduce(BP_REDUCE_PROD, y, 1).values(), ElementsAre(0));
}

TEST(ReferenceReduce, EpilogueSeesTheSumInF32) {
  // y = sum / 4 as bf16, plus an extra operand
  Program p(2);
  const uint16_t quarter = p.constant(BP_F32, 0.25), mean = p.add(BP_S_MUL, BP_F32, 0, quarter),
                 plus = p.add(BP_S_ADD, BP_F32, mean, 1), half = p.add(BP_S_CAST, BP_BF16, plus);
  const bp_reduce_attrs attrs{sizeof(attrs), BP_REDUCE_SUM, 2, 0};
  Case c{BP_OP_REDUCE, {Tensor(BP_F32, {2, 4}, {1, 2, 3, 4, 5, 6, 7, 8}), Tensor(BP_F32, {}, {100}).broadcast({2, 1})},
         {Tensor(BP_BF16, {2, 1})}, &attrs, p.done({half})};
  card().run(c);
  EXPECT_THAT(c.outputs[0].values(), ElementsAre(102.5, 106.5));
}

void expect_matmul(const Tensor& a, const Tensor& b, Tensor c_start, double tolerance) {
  Case c{BP_OP_MATMUL, {a, b}, {c_start}};
  card().run(c);
  const bp_tensor_desc& d = c_start.desc;
  const int64_t m = d.shape[d.rank - 2], n = d.shape[d.rank - 1], k = a.desc.shape[a.desc.rank - 1];
  for (int64_t i = 0; i < c_start.size(); ++i) {
    const int64_t batch = i / (m * n), row = i / n % m, column = i % n;
    double sum = 0;
    for (int64_t p = 0; p < k; ++p) sum += a.at((batch * m + row) * k + p) * b.at((batch * k + p) * n + column);
    ASSERT_NEAR(c.outputs[0].at(i), sum, tolerance * (1 + std::abs(sum))) << i;
  }
}

TEST(ReferenceMatmul, AllDtypesStridesAndBatches) {
  for (uint32_t dtype : {BP_F32, BP_F64, BP_F16, BP_BF16, BP_I32, BP_I64}) {
    const double tolerance = dtype == BP_BF16 ? 1.0 / 256 : dtype == BP_F16 ? 1.0 / 2048 : 1e-7;
    const Tensor a = random_tensor(dtype, {2, 3, 4, 5}, 1, -8, 8), b = random_tensor(dtype, {2, 3, 5, 6}, 2, -8, 8);
    expect_matmul(a, b, Tensor(dtype, {2, 3, 4, 6}), tolerance);
    expect_matmul(a.scrambled(), b.scrambled(), Tensor(dtype, {2, 3, 4, 6}).scrambled(), tolerance);
    const Tensor weight = random_tensor(dtype, {5, 6}, 3, -8, 8);
    expect_matmul(a, weight.broadcast({2, 3, 5, 6}), Tensor(dtype, {2, 3, 4, 6}), tolerance);
  }
}

TEST(ReferenceMatmul, EmptyExtents) {
  Case c{BP_OP_MATMUL, {Tensor(BP_F32, {2, 0}), Tensor(BP_F32, {0, 3})}, {Tensor(BP_F32, {2, 3})}};
  card().run(c);
  EXPECT_THAT(c.outputs[0].values(), ::testing::Each(0));
  Case none{BP_OP_MATMUL, {Tensor(BP_F32, {0, 2, 2}), Tensor(BP_F32, {0, 2, 3})}, {Tensor(BP_F32, {0, 2, 3})}};
  card().run(none);
}

TEST(ReferenceMatmul, EpilogueWithBatchedAndBroadcastExtras) {
  Program p(3);  // max(c + bias, 0) * scale
  const uint16_t zero = p.constant(BP_F32, 0), sum = p.add(BP_S_ADD, BP_F32, 0, 1),
                 relu = p.add(BP_S_MAX, BP_F32, sum, zero), scaled = p.add(BP_S_MUL, BP_F32, relu, 2);
  const Tensor a = random_tensor(BP_F32, {2, 3, 4}, 1), b = random_tensor(BP_F32, {2, 4, 5}, 2),
               bias = random_tensor(BP_F32, {5}, 3), scale = random_tensor(BP_F32, {2, 3, 5}, 4);
  Case c{BP_OP_MATMUL, {a, b, bias.broadcast({2, 3, 5}), scale.scrambled()}, {Tensor(BP_F32, {2, 3, 5})}, nullptr,
         p.done({scaled})};
  card().run(c);
  for (int64_t i = 0; i < 30; ++i) {
    double sum_of = 0;
    for (int64_t q = 0; q < 4; ++q) sum_of += a.at(i / 5 * 4 + q) * b.at((i / 15 * 4 + q) * 5 + i % 5);
    const double expected = std::max(sum_of + bias.at(i % 5), 0.0) * scale.at(i);
    ASSERT_NEAR(c.outputs[0].at(i), expected, 1e-5) << i;
  }
}

TEST(ReferenceGather, CopiesRowsAndGivesZerosOutside) {
  for (uint32_t index_dtype : {BP_I32, BP_I64}) {
    for (uint32_t dtype : {BP_F32, BP_F64, BP_F16, BP_BF16, BP_I32, BP_I64, BP_BOOL}) {
      const Tensor x = random_tensor(dtype, {2, 3, 4}, 5, 1, 9).scrambled();
      const Tensor indices(index_dtype, {5}, {2, -1, 0, 3, 2});
      Case c{BP_OP_GATHER, {x, indices}, {Tensor(dtype, {2, 5, 4})}};
      card().run(c);
      for (int64_t o = 0; o < 2; ++o) {
        for (int64_t k = 0; k < 5; ++k) {
          const int64_t index = static_cast<int64_t>(indices.at(k));
          for (int64_t i = 0; i < 4; ++i) {
            const double expected = index >= 0 && index < 3 ? x.at({o, index, i}) : 0;
            ASSERT_EQ(c.outputs[0].at({o, k, i}), expected);
          }
        }
      }
    }
  }
}

TEST(ReferenceScatterAdd, AddsDuplicatesSkipsOutsideAndWorksInPlace) {
  for (uint32_t dtype : {BP_F32, BP_F16, BP_I32, BP_I64}) {
    const Tensor base(dtype, {1, 3, 2}, {1, 2, 3, 4, 5, 6});
    const Tensor updates(dtype, {1, 4, 2}, {10, 20, 30, 40, 50, 60, 70, 80});
    const Tensor indices(BP_I32, {4}, {2, 0, 2, 7});
    for (int alias : {-1, 0}) {
      Case c{BP_OP_SCATTER_ADD, {base, indices, updates}, {base}, nullptr, nullptr, alias, alias};
      card().run(c);
      EXPECT_THAT(c.outputs[0].values(), ElementsAre(31, 42, 3, 4, 65, 86));
    }
  }
}

}  // namespace
}  // namespace backplane::testing
