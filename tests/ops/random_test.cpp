// SPDX-License-Identifier: Apache-2.0
// Philox from the paper, written here with 64-bit products and checked with the authors' vectors, against the ops.

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>

#include "backplane/graph/ops.h"
#include "ops/devices.h"
#include "ops/expanded.h"

namespace backplane::test {

using namespace backplane::graph;

namespace {

using Words = std::array<uint32_t, 4>;

Words philox(Words c, uint32_t k0, uint32_t k1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * c[0], b = uint64_t{0xCD9E8D57} * c[2];
    c = {static_cast<uint32_t>(b >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(b),
         static_cast<uint32_t>(a >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(a)};
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return c;
}

/// Known answers of Random123 1.09, tests/kat_vectors, philox4x32 10.
TEST(Random, ThePhiloxOfThisTestIsTheAuthors) {
  EXPECT_EQ(philox({0, 0, 0, 0}, 0, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({~0u, ~0u, ~0u, ~0u}, ~0u, ~0u), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0xa4093822, 0x299f31d0),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

struct Drawn {
  Graph graph;
  Sym out;
};
void draw(Drawn& d, const OpDef& op, int64_t n) {
  const Sym key = d.graph.sym(d.graph.add_input(Input::Kind::placeholder, {DType::i32, {4}}, "key"));
  d.out = apply1(op, {{"shape", std::vector<int64_t>{n}}}, {key});
  d.graph.set_outputs({d.graph.value(d.out)});
}

Literal key_of(Words words) {
  Literal key{{DType::i32, {4}}, std::vector<std::byte>(16)};
  std::memcpy(key.bytes.data(), words.data(), 16);
  return key;
}

constexpr Words kKeys[] = {
    {0, 0, 0, 0}, {1, 2, 3, 4}, {0xdeadbeef, 0x80000000, 0xffffffff, 0x7fffffff}, {~0u, ~0u, ~0u, ~0u}};

TEST(Random, BitsAndUniformsAreThePapersOnEveryDeviceAndDecomposed) {
  constexpr int64_t n = 4099;  // not a multiple of a block
  for (const Words& key : kKeys) {
    std::vector<int32_t> bits;
    std::vector<float> uniforms;
    for (uint32_t e = 0; e < n; ++e) {
      const uint32_t word = philox({e / 4, 0, key[2], key[3]}, key[0], key[1])[e % 4];
      bits.push_back(static_cast<int32_t>(word));
      uniforms.push_back(static_cast<float>(word >> 8) * 0x1p-24f);
    }
    for (const OpDef* op : {&op::random_bits, &op::random_uniform}) {
      Drawn d;
      draw(d, *op, n);
      const void* want = op == &op::random_bits ? static_cast<const void*>(bits.data()) : uniforms.data();
      const std::vector<Literal> keys = {key_of(key)};
      EXPECT_EQ(std::memcmp(reckon(d.graph, keys).values[0].bytes.data(), want, n * 4), 0) << op->name << " decomposed";
      for (const StreamPtr& stream : devices_under_test()) {
        const std::vector<Literal> got = Evaluator(d.graph, stream)(keys);
        ASSERT_EQ(got[0].bytes.size(), n * 4u);
        EXPECT_EQ(std::memcmp(got[0].bytes.data(), want, n * 4), 0) << op->name << " on " << stream->device()->name();
      }
    }
  }
}

/// Moments of n independent numbers stray by their standard error; five of them is one failure in 1.7 million keys, and
/// the keys are fixed.
TEST(Random, MomentsAreThoseOfTheDistributions) {
  constexpr int64_t n = 100000;
  const auto moments = [](const OpDef& op, const Words& key) {
    Drawn d;
    draw(d, op, n);
    const std::vector<Literal> keys = {key_of(key)};
    const std::vector<double> x = to_doubles(Evaluator(d.graph, oracle())(keys)[0]);
    double sum = 0, squares = 0;
    for (const double v : x) sum += v, squares += v * v;
    return std::pair(sum / n, squares / n - sum / n * sum / n);
  };
  for (const Words& key : kKeys) {
    const auto [mean, variance] = moments(op::random_uniform, key);
    EXPECT_NEAR(mean, 0.5, 5 * std::sqrt(1.0 / 12 / n));
    EXPECT_NEAR(variance, 1.0 / 12, 5 * std::sqrt(1.0 / 180 / n));
    const auto [normal_mean, normal_variance] = moments(op::random_normal, key);
    EXPECT_NEAR(normal_mean, 0, 5 * std::sqrt(1.0 / n));
    EXPECT_NEAR(normal_variance, 1, 5 * std::sqrt(2.0 / n));
  }
}

TEST(Random, DropoutKeepsTheGivenShareAndScalesIt) {
  constexpr int64_t n = 20000;
  Graph graph;
  const Sym x = graph.sym(graph.add_input(Input::Kind::placeholder, {f32, {n}}, "x"));
  const Sym key = graph.sym(graph.add_input(Input::Kind::placeholder, {DType::i32, {4}}, "key"));
  graph.set_outputs({graph.value(apply1(op::dropout, {{"rate", 0.2}}, {x, key}))});
  const std::vector<Literal> values = {from_doubles({f32, {n}}, std::vector<double>(n, 2.0)), key_of({5, 6, 7, 8})};
  for (const StreamPtr& stream : devices_under_test()) {
    int64_t kept = 0;
    for (const double y : to_doubles(Evaluator(graph, stream)(values)[0])) {
      EXPECT_TRUE(y == 0 || std::fabs(y - 2.5) < 1e-6) << y;
      kept += y != 0 ? 1 : 0;
    }
    EXPECT_NEAR(static_cast<double>(kept) / n, 0.8, 5 * std::sqrt(0.16 / n)) << stream->device()->name();
  }
}

}  // namespace
}  // namespace backplane::test
