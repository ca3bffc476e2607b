// SPDX-License-Identifier: Apache-2.0
// Every op, sample and dtype on every device under test, forward and gradient, against the oracle and the
// decomposition.

#include "ops/devices.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "backplane/graph/ops.h"
#include "ops/cases.h"
#include "ops/expanded.h"

namespace backplane::test {

using namespace backplane::graph;

namespace {

constexpr DType kAllSampled[] = {f32, f64, f16, bf16, DType::i32};

/// Compares outputs one by one; the message names everything needed to do it again.
void expect_near(const Case& c, const std::string& device, const char* what, const Reckoning& want,
                 std::span<const Literal> got) {
  ASSERT_EQ(want.values.size(), got.size()) << c.name() << " on " << device;
  for (size_t i = 0; i < got.size(); ++i) {
    const std::string text = difference(want.values[i], got[i], want.tolerances[i]);
    if (!text.empty())
      ADD_FAILURE() << c.name() << " on " << device << ", " << what << ", output " << i << ": " << text;
  }
}

/// Runs `g` on all devices, with all passes and with none, and compares with the oracle's native result and with its
/// decomposition.
struct Tally {
  size_t cases = 0, launches = 0, fallbacks = 0;
};
void compare(const Case& c, const CaseGraph& g, const StreamPtr& stream, const char* what, Tally& tally) {
  const Reckoning want = reckon(*g.graph, g.values);
  const Evaluator run(*g.graph, stream, PassConfig{});
  expect_near(c, stream->device()->name(), what, want, run(g.values));
  tally.cases += 1;
  tally.launches += run.stats().nodes;
  tally.fallbacks += run.stats().fallback_nodes;
}

void report(const StreamPtr& stream, const char* what, const Tally& tally) {
  std::printf("[ ops      ] %s on %s: %zu cases, %zu launches there, %zu on the host fallback\n", what,
              stream->device()->name().c_str(), tally.cases, tally.launches, tally.fallbacks);
  EXPECT_GT(tally.cases, 0u);
  EXPECT_GT(tally.launches, 0u) << stream->device()->name() << " did nothing";
}

TEST(OpDevices, InferenceEqualsWhatRuns) {
  size_t cases = 0;
  for (const Case& c : all_cases(kAllSampled)) {
    SCOPED_TRACE(c.name());
    const CaseGraph g = apply_case(c);
    const std::vector<Literal> got = Evaluator(*g.graph, oracle())(g.values);
    ASSERT_EQ(got.size(), c.out.size());
    for (size_t i = 0; i < got.size(); ++i) {
      EXPECT_EQ(got[i].type.to_string(), c.out[i].to_string());
      EXPECT_EQ(got[i].bytes.size(), static_cast<size_t>(c.out[i].bytes()));
    }
    ++cases;
  }
  std::printf("[ ops      ] inference: %zu cases\n", cases);
  EXPECT_GT(cases, 0u);
}

TEST(OpDevices, NativeEqualsDecompositionOnTheOracle) {
  size_t cases = 0;
  for (const Case& c : all_cases(kAllSampled)) {
    if (c.op->native.code == 0 || c.op->decompose == nullptr) continue;
    const CaseGraph g = apply_case(c);
    expect_near(c, "the oracle", "native against decomposed", reckon(*g.graph, g.values),
                Evaluator(*g.graph, oracle())(g.values));
    ++cases;
  }
  std::printf("[ ops      ] native against decomposed: %zu cases\n", cases);
  EXPECT_GT(cases, 0u);
}

TEST(OpDevices, ForwardEqualsTheOracle) {
  const std::vector<Case> cases = all_cases(kAllSampled);
  for (const StreamPtr& stream : devices_under_test()) {
    Tally tally;
    for (const Case& c : cases) {
      SCOPED_TRACE(c.name() + " on " + stream->device()->name());
      compare(c, apply_case(c), stream, "forward", tally);
    }
    report(stream, "forward", tally);
  }
}

/// Operands that are views: negative strides, axes in another order.
TEST(OpDevices, StridedOperandsGiveTheSame) {
  const std::vector<Case> cases = all_cases(kAllSampled);
  for (const StreamPtr& stream : devices_under_test()) {
    Tally tally;
    for (const Case& c : cases) {
      if (c.inputs.empty()) continue;
      SCOPED_TRACE(c.name() + " on " + stream->device()->name());
      const CaseGraph dense = apply_case(c), strided = apply_case_strided(c);
      const Reckoning want = reckon(*dense.graph, dense.values);
      const Evaluator run(*strided.graph, stream, PassConfig{});
      expect_near(c, stream->device()->name(), "strided operands", want, run(strided.values));
      tally.cases += 1;
      tally.launches += run.stats().nodes;
      tally.fallbacks += run.stats().fallback_nodes;
    }
    report(stream, "strided operands", tally);
  }
}

TEST(OpDevices, GradientsEqualTheOracle) {
  constexpr DType floats[] = {f32, f64, f16, bf16};
  const std::vector<Case> cases = all_cases(floats);
  for (const StreamPtr& stream : devices_under_test()) {
    Tally tally;
    for (const Case& c : cases) {
      if (!c.differentiable()) continue;
      SCOPED_TRACE(c.name() + " on " + stream->device()->name());
      const CaseGraph g = vjp_case(c);
      if (!g.out.empty()) compare(c, g, stream, "gradient", tally);
    }
    report(stream, "gradients", tally);
  }
}

/// A device that rounded its operands to the next smaller dtype behind our back has to be caught.
TEST(OpDevices, TolerancesNoticeOperandsOfLowerPrecision) {
  for (const auto& [dtype, lower] : {std::pair{f32, f16}, std::pair{f64, f32}, std::pair{f32, bf16}}) {
    size_t cases = 0, noticed = 0;
    for (const Case& c : all_cases(std::span(&dtype, 1))) {
      const CaseGraph g = apply_case(c);
      const Reckoning want = reckon(*g.graph, g.values);
      std::vector<Literal> rounded = g.values;
      for (Literal& value : rounded) {
        if (value.type.dtype != dtype) continue;
        const std::vector<double> narrow = to_doubles(from_doubles({lower, value.type.shape}, to_doubles(value)));
        value = from_doubles(value.type, narrow);
      }
      const std::vector<Literal> got = Evaluator(*g.graph, oracle())(rounded);
      bool changed = false, caught = false;
      for (size_t i = 0; i < got.size(); ++i) {
        if (got[i].type.dtype != dtype) continue;
        changed = changed || got[i].bytes != want.values[i].bytes;
        caught = caught || !difference(want.values[i], got[i], want.tolerances[i]).empty();
      }
      cases += changed ? 1 : 0;
      noticed += caught ? 1 : 0;
    }
    std::printf("[ ops      ] %s operands rounded to %s: noticed in %zu of %zu cases\n", name_of(dtype).data(),
                name_of(lower).data(), noticed, cases);
    EXPECT_GT(static_cast<double>(noticed), 0.9 * static_cast<double>(cases));
    EXPECT_GT(cases, 100u);
  }
}

TEST(OpDevices, RandomBitsAreTheSameEverywhere) {
  constexpr DType dtypes[] = {f32};
  size_t cases = 0;
  for (const Case& c : all_cases(dtypes)) {
    if (c.op != &op::random_bits && c.op != &op::random_uniform) continue;
    const CaseGraph g = apply_case(c);
    const Reckoning decomposed = reckon(*g.graph, g.values);
    for (const StreamPtr& stream : devices_under_test()) {
      const std::vector<Literal> got = Evaluator(*g.graph, stream)(g.values);
      EXPECT_EQ(got[0].bytes, decomposed.values[0].bytes) << c.name() << " on " << stream->device()->name();
      ++cases;
    }
  }
  std::printf("[ ops      ] random: %zu cases\n", cases);
  EXPECT_GT(cases, 0u);
}

}  // namespace
}  // namespace backplane::test
