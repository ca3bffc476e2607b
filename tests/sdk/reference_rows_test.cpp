// SPDX-License-Identifier: Apache-2.0
// SOFTMAX, NORMALIZE, ATTENTION, RANDOM, SORT of the reference card: formulas, edge cases, gradients by differences.
#include <gmock/gmock.h>

#include <algorithm>
#include <array>

#include "reference_card.hpp"

namespace backplane::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

TEST(ReferenceSoftmax, RowsAlongAnyAxis) {
  const Tensor x = random_tensor(BP_F32, {3, 4, 5}, 3, -20, 20);
  for (uint32_t axis = 0; axis < 3; ++axis) {
    const bp_axis_attrs attrs{sizeof(attrs), axis};
    Case soft{BP_OP_SOFTMAX, {x.scrambled()}, {Tensor(BP_F32, {3, 4, 5})}, &attrs};
    Case logs{BP_OP_LOG_SOFTMAX, {x}, {Tensor(BP_F32, {3, 4, 5}).scrambled()}, &attrs};
    card().run(soft);
    card().run(logs);
    for (int64_t i = 0; i < 60; ++i) {
      Shape at{i / 20, i / 5 % 4, i % 5};
      double sum = 0;
      for (int64_t j = 0; j < x.desc.shape[axis]; ++j) {
        Shape other = at;
        other[axis] = j;
        sum += std::exp(x.at(other));
      }
      ASSERT_FLOAT_EQ(soft.outputs[0].at(i), std::exp(x.at(i)) / sum);
      ASSERT_NEAR(logs.outputs[0].at(i), x.at(i) - std::log(sum), 1e-5);
    }
  }
}

TEST(ReferenceSoftmax, HugeValuesInfinitiesAndEmptyRows) {
  const bp_axis_attrs attrs{sizeof(attrs), 1};
  Case c{BP_OP_SOFTMAX, {Tensor(BP_F32, {3, 2}, {3e38, 3e38, -kInf, 1, -kInf, -kInf})}, {Tensor(BP_F32, {3, 2})}, &attrs};
  card().run(c);
  const std::vector<double> y = c.outputs[0].values();
  EXPECT_THAT(std::vector<double>(y.begin(), y.begin() + 4), ElementsAre(0.5, 0.5, 0, 1));
  EXPECT_TRUE(std::isnan(y[4]) && std::isnan(y[5]));
  Case none{BP_OP_LOG_SOFTMAX, {Tensor(BP_F32, {3, 0})}, {Tensor(BP_F32, {3, 0})}, &attrs};
  card().run(none);
}

TEST(ReferenceSoftmax, GradientsMatchDifferences) {
  const bp_axis_attrs attrs{sizeof(attrs), 1};
  const Tensor x = random_tensor(BP_F64, {2, 5, 3}, 4), dy = random_tensor(BP_F64, {2, 5, 3}, 5);
  for (uint32_t code : {BP_OP_SOFTMAX, BP_OP_LOG_SOFTMAX}) {
    Case forward{code, {x}, {Tensor(BP_F64, {2, 5, 3})}, &attrs};
    card().run(forward);
    Case grad{code + 1, {forward.outputs[0], dy}, {dy}, &attrs, nullptr, 0, 1};
    card().run(grad);
    expect_near(grad.outputs[0], numeric_gradient(forward, 0, dy), 1e-8, "dx");
  }
}

TEST(ReferenceNormalize, LayerBatchAndRms) {
  const Shape shape{4, 3, 5};
  const Tensor x = random_tensor(BP_F32, shape, 1, -3, 5), scale = random_tensor(BP_F32, {3, 1}, 2),
               shift = random_tensor(BP_F32, {3, 1}, 3);
  for (uint32_t kind : {BP_NORMALIZE_MEAN_VARIANCE, BP_NORMALIZE_RMS}) {
    for (uint32_t axes : {4u, 5u, 7u, 2u}) {
      const bp_normalize_attrs attrs{sizeof(attrs), kind, axes, 0, 1e-3};
      Shape reduced = shape;
      for (uint32_t i = 0; i < 3; ++i) {
        if ((axes >> i & 1) != 0) reduced[i] = 1;
      }
      Case c{BP_OP_NORMALIZE, {x.scrambled(), scale.broadcast(shape), shift.broadcast(shape)},
             {Tensor(BP_F32, shape), Tensor(BP_F32, reduced), Tensor(BP_F32, reduced)}, &attrs};
      card().run(c);
      for (int64_t i = 0; i < x.size(); ++i) {
        const Shape at{i / 15, i / 5 % 3, i % 5};
        double sum = 0, squares = 0, count = 0;
        for (int64_t j = 0; j < x.size(); ++j) {
          const Shape other{j / 15, j / 5 % 3, j % 5};
          bool same = true;
          for (uint32_t a = 0; a < 3; ++a) same = same && ((axes >> a & 1) != 0 || other[a] == at[a]);
          if (!same) continue;
          sum += x.at(j);
          squares += x.at(j) * x.at(j);
          count += 1;
        }
        const double mean = kind == BP_NORMALIZE_RMS ? 0 : sum / count;
        const double rstd = 1 / std::sqrt(squares / count - mean * mean + 1e-3);
        Shape group = at;
        for (uint32_t a = 0; a < 3; ++a) {
          if ((axes >> a & 1) != 0) group[a] = 0;
        }
        ASSERT_NEAR(c.outputs[1].at(group), mean, 1e-6);
        ASSERT_NEAR(c.outputs[2].at(group), rstd, 1e-5 * rstd);
        ASSERT_NEAR(c.outputs[0].at(i), (x.at(i) - mean) * rstd * scale.at(at[1]) + shift.at(at[1]), 1e-4);
      }
    }
  }
}

TEST(ReferenceNormalize, GradientsMatchDifferences) {
  const Shape shape{3, 2, 4};
  const Tensor x = random_tensor(BP_F64, shape, 1), dy = random_tensor(BP_F64, shape, 4);
  const Tensor scale = random_tensor(BP_F64, {2, 1}, 2, 0.5, 2), shift = random_tensor(BP_F64, {2, 1}, 3);
  for (uint32_t kind : {BP_NORMALIZE_MEAN_VARIANCE, BP_NORMALIZE_RMS}) {
    for (uint32_t axes : {5u, 4u}) {
      const Shape reduced{axes == 5 ? 1 : 3, 2, 1};
      const bp_normalize_attrs attrs{sizeof(attrs), kind, axes, 0, 1e-3};
      // scale is given in full here, so that differences in each of its elements add up over axes 0 and 2 below.
      Case forward{BP_OP_NORMALIZE, {x, scale.broadcast(shape), shift.broadcast(shape)},
                   {Tensor(BP_F64, shape), Tensor(BP_F64, reduced), Tensor(BP_F64, reduced)}, &attrs};
      card().run(forward);
      Case grad{BP_OP_NORMALIZE_GRAD, {dy, x, forward.outputs[1], forward.outputs[2], scale.broadcast(shape)},
                {Tensor(BP_F64, shape), Tensor(BP_F64, {1, 2, 1}), Tensor(BP_F64, shape)}, &attrs};
      card().run(grad);
      expect_near(grad.outputs[0], numeric_gradient(forward, 0, dy), 1e-7, "dx");
      expect_near(grad.outputs[2], dy.values(), 1e-15, "dshift, not summed");
      for (int64_t channel = 0; channel < 2; ++channel) {  // setting one broadcast element sets them all
        Case plus = forward, minus = forward;
        plus.inputs[1].set(channel * 4, scale.at(channel) + 1e-5);
        minus.inputs[1].set(channel * 4, scale.at(channel) - 1e-5);
        const double slope = (weighted_sum(plus, dy) - weighted_sum(minus, dy)) / 2e-5;
        EXPECT_NEAR(grad.outputs[1].at(channel), slope, 1e-7);
      }
    }
  }
}

struct Attention {
  Tensor q, k, v;
  bp_attention_attrs attrs;
};
Attention attention(uint32_t causal) {
  return {random_tensor(BP_F64, {2, 4, 3, 5}, 1), random_tensor(BP_F64, {2, 2, 6, 5}, 2),
          random_tensor(BP_F64, {2, 2, 6, 4}, 3), {sizeof(bp_attention_attrs), causal, 0.7}};
}

TEST(ReferenceAttention, MatchesTheFormulaWithGroupsMaskAndCausality) {
  for (uint32_t causal : {0u, 1u}) {
    for (int masked = 0; masked < 3; ++masked) {
      Attention a = attention(causal);
      Tensor mask = random_tensor(BP_F32, {3, 6}, 5);
      if (masked == 2) {
        mask = Tensor(BP_BOOL, {3, 6});
        for (int64_t i = 0; i < 18; ++i) mask.set(i, i % 3 != 0);
      }
      Case c{BP_OP_ATTENTION, {a.q.scrambled(), a.k, a.v.scrambled()},
             {Tensor(BP_F64, {2, 4, 3, 4}), Tensor(BP_F64, {2, 4, 3})}, &a.attrs};
      if (masked != 0) c.inputs.push_back(mask.broadcast({2, 4, 3, 6}));
      card().run(c);
      for (int64_t row = 0; row < 24; ++row) {
        const int64_t b = row / 12, h = row / 3 % 4, i = row % 3;
        std::array<double, 6> weight{};
        double sum = 0;
        for (int64_t j = 0; j < 6; ++j) {
          double score = 0;
          for (int64_t d = 0; d < 5; ++d) score += 0.7 * a.q.at({b, h, i, d}) * a.k.at({b, h / 2, j, d});
          if (masked == 1) score += mask.at({i, j});
          const bool hidden = (causal != 0 && j > i + 3) || (masked == 2 && mask.at({i, j}) == 0);
          sum += weight[static_cast<size_t>(j)] = hidden ? 0 : std::exp(score);
        }
        ASSERT_NEAR(c.outputs[1].at(row), std::log(sum), 1e-12);
        for (int64_t d = 0; d < 4; ++d) {
          double o = 0;
          for (int64_t j = 0; j < 6; ++j) o += weight[static_cast<size_t>(j)] / sum * a.v.at({b, h / 2, j, d});
          ASSERT_NEAR(c.outputs[0].at({b, h, i, d}), o, 1e-12);
        }
      }
    }
  }
}

TEST(ReferenceAttention, AQueryThatSeesNothingGivesZeros) {
  // Four queries, two keys, causal: queries 0 and 1 see nothing, and hidden NaNs do not reach query 2.
  const bp_attention_attrs attrs{sizeof(attrs), 1, 1};
  Case c{BP_OP_ATTENTION,
         {Tensor(BP_F32, {1, 1, 4, 1}, {1, 1, 1, 1}), Tensor(BP_F32, {1, 1, 2, 1}, {1, kNaN}),
          Tensor(BP_F32, {1, 1, 2, 1}, {7, kNaN})},
         {Tensor(BP_F32, {1, 1, 4, 1}), Tensor(BP_F32, {1, 1, 4})}, &attrs};
  card().run(c);
  EXPECT_EQ(c.outputs[0].at(0), 0);
  EXPECT_EQ(c.outputs[0].at(1), 0);
  EXPECT_EQ(c.outputs[0].at(2), 7);
  EXPECT_TRUE(std::isnan(c.outputs[0].at(3)));
  EXPECT_EQ(c.outputs[1].at(0), -kInf);
}

TEST(ReferenceAttention, GradientsMatchDifferences) {
  for (uint32_t causal : {0u, 1u}) {
    Attention a = attention(causal);
    const Tensor dy = random_tensor(BP_F64, {2, 4, 3, 4}, 6), mask = random_tensor(BP_F64, {3, 6}, 5);
    Case forward{BP_OP_ATTENTION, {a.q, a.k, a.v, mask.broadcast({2, 4, 3, 6})},
                 {Tensor(BP_F64, {2, 4, 3, 4}), Tensor(BP_F64, {2, 4, 3})}, &a.attrs};
    card().run(forward);
    Case grad{BP_OP_ATTENTION_GRAD,
              {dy, a.q, a.k, a.v, forward.outputs[0], forward.outputs[1], mask.broadcast({2, 4, 3, 6})},
              {Tensor(BP_F64, {2, 4, 3, 5}), Tensor(BP_F64, {2, 2, 6, 5}), Tensor(BP_F64, {2, 2, 6, 4})}, &a.attrs};
    card().run(grad);
    for (size_t i = 0; i < 3; ++i) expect_near(grad.outputs[i], numeric_gradient(forward, i, dy), 1e-7, "dq dk dv");
  }
}

/// Philox4x32-10, written from the paper's figure, apart from the plugin's.
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> c, std::array<uint32_t, 2> k) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = 0xD2511F53ull * c[0], p1 = 0xCD9E8D57ull * c[2];
    const std::array<uint32_t, 4> old = c;
    c[0] = static_cast<uint32_t>(p1 >> 32) ^ old[1] ^ k[0];
    c[1] = static_cast<uint32_t>(p1 & 0xFFFFFFFFu);
    c[2] = static_cast<uint32_t>(p0 >> 32) ^ old[3] ^ k[1];
    c[3] = static_cast<uint32_t>(p0 & 0xFFFFFFFFu);
    k = {k[0] + 0x9E3779B9u, k[1] + 0xBB67AE85u};
  }
  return c;
}

Tensor random_bits(const std::array<uint32_t, 4>& key, const Shape& shape, uint32_t kind) {
  Tensor k(BP_I32, {4});
  std::memcpy(k.bytes.data(), key.data(), 16);
  const bp_random_attrs attrs{sizeof(attrs), kind};
  const uint32_t dtype = kind == BP_RANDOM_BITS ? BP_I32 : BP_F32;
  Case c{BP_OP_RANDOM, {k}, {Tensor(dtype, shape).scrambled()}, &attrs};
  card().run(c);
  return c.outputs[0];
}

TEST(ReferenceRandom, KnownAnswersOfTheAlgorithm) {
  EXPECT_THAT(philox({0, 0, 0, 0}, {0, 0}), ElementsAre(0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8));
  const uint32_t ones = 0xFFFFFFFFu;
  EXPECT_THAT(philox({ones, ones, ones, ones}, {ones, ones}),
              ElementsAre(0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd));
  EXPECT_THAT(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
              ElementsAre(0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1));
}

TEST(ReferenceRandom, ElementsAreTheWordsOfTheirBlock) {
  EXPECT_THAT(random_bits({0, 0, 0, 0}, {4}, BP_RANDOM_BITS).values(),
              ElementsAre(int32_t(0x6627e8d5), int32_t(0xe169c58d), int32_t(0xbc57ac4c), int32_t(0x9b00dbd8)));
  const std::array<uint32_t, 4> key{0x12345678u, 0x9ABCDEF0u, 0xFFFFFFFFu, 7u};
  const Tensor bits = random_bits(key, {3, 7, 5}, BP_RANDOM_BITS), uniform = random_bits(key, {105}, BP_RANDOM_UNIFORM);
  for (uint32_t e = 0; e < 105; ++e) {
    const uint32_t word = philox({e / 4, 0, key[2], key[3]}, {key[0], key[1]})[e % 4];
    ASSERT_EQ(bits.at(e), static_cast<int32_t>(word));
    ASSERT_EQ(uniform.at(e), (word >> 8) / 16777216.0);
  }
}

TEST(ReferenceSort, StableInBothDirectionsWithNaNLargest) {
  const Tensor x(BP_F32, {1, 7}, {3, 1, kNaN, 3, -kInf, 1, kNaN});
  for (uint32_t descending : {0u, 1u}) {
    const bp_sort_attrs attrs{sizeof(attrs), 1, descending, 0};
    Case c{BP_OP_SORT, {x}, {Tensor(BP_F32, {1, 7}), Tensor(BP_I32, {1, 7})}, &attrs};
    card().run(c);
    if (descending == 0) EXPECT_THAT(c.outputs[1].values(), ElementsAre(4, 1, 5, 0, 3, 2, 6));
    else EXPECT_THAT(c.outputs[1].values(), ElementsAre(2, 6, 0, 3, 1, 5, 4));
  }
}

TEST(ReferenceSort, AlongAnyAxisOfAnyDtype) {
  for (uint32_t dtype : {BP_F64, BP_F16, BP_BF16, BP_I32, BP_I64, BP_BOOL}) {
    const Tensor x = random_tensor(dtype, {4, 9, 3}, 8, -50, 50);
    const bp_sort_attrs attrs{sizeof(attrs), 1, 0, 0};
    Case c{BP_OP_SORT, {x.scrambled()}, {Tensor(dtype, {4, 9, 3}), Tensor(BP_I32, {4, 9, 3})}, &attrs};
    card().run(c);
    for (int64_t row = 0; row < 12; ++row) {
      std::vector<double> expected, actual;
      for (int64_t j = 0; j < 9; ++j) {
        const Shape at{row / 3, j, row % 3};
        expected.push_back(x.at(at));
        actual.push_back(c.outputs[0].at(at));
        const int64_t from = static_cast<int64_t>(c.outputs[1].at(at));
        EXPECT_EQ(x.at({row / 3, from, row % 3}), actual.back());
      }
      std::sort(expected.begin(), expected.end());
      EXPECT_THAT(actual, ElementsAreArray(expected));
    }
  }
}

TEST(ReferenceSort, TopKTakesTheFirstOfThatOrder) {
  const Tensor x(BP_I64, {6}, {5, 9, 2, 9, 7, 2});
  bp_sort_attrs attrs{sizeof(attrs), 0, 1, 0};
  Case largest{BP_OP_TOP_K, {x}, {Tensor(BP_I64, {3}), Tensor(BP_I32, {3})}, &attrs};
  card().run(largest);
  EXPECT_THAT(largest.outputs[0].values(), ElementsAre(9, 9, 7));
  EXPECT_THAT(largest.outputs[1].values(), ElementsAre(1, 3, 4));
  attrs.descending = 0;
  Case smallest{BP_OP_TOP_K, {x}, {Tensor(BP_I64, {2}), Tensor(BP_I32, {2})}, &attrs};
  card().run(smallest);
  EXPECT_THAT(smallest.outputs[1].values(), ElementsAre(2, 5));
}

}  // namespace
}  // namespace backplane::testing
