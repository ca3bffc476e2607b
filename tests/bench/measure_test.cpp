// SPDX-License-Identifier: Apache-2.0
// Ratios of contestants whose cost is known; with wide bounds, because tests run beside others.
#include "measure.h"

#include <gtest/gtest.h>

#include <thread>

#include "busy.h"

namespace backplane::bench {
namespace {

void sleep_us(int64_t us) { std::this_thread::sleep_for(std::chrono::microseconds(us)); }

TEST(Measure, TellsOneContestantFromAnother) {
  const Measurement m = measure({[] { sleep_us(200); }, [] { sleep_us(2000); }}, {.rounds = 3, .budget_s = 1});
  ASSERT_EQ(m.of.size(), 2u);
  EXPECT_GE(m.of[0].median_ns, 200e3);
  EXPECT_GE(m.of[1].median_ns, 2000e3);
  EXPECT_LT(m.of[0].median_ns, m.of[1].median_ns);
  EXPECT_LE(m.of[0].p10_ns, m.of[0].median_ns);
  EXPECT_LE(m.of[0].median_ns, m.of[0].p90_ns);
  EXPECT_GE(m.rounds, 3);
}

TEST(Measure, CountsTheWaitAtTheEndOfASampleOnce) {
  int calls = 0, waits = 0;
  const Contestant queued([&] { ++calls; }, [&] { ++waits, sleep_us(100); });
  const Measurement m = measure({queued}, {.rounds = 3, .sample_ns = 2'000'000, .budget_s = 1});
  EXPECT_GT(calls, 10 * waits);  // many calls a wait
  EXPECT_LT(m.of[0].median_ns, 50e3);
  EXPECT_GT(m.of[0].median_ns, 0);
}

TEST(Measure, EndsWithItsBudgetWhateverTheMachineDoes) {
  const int64_t start = now_ns();
  const Measurement m = measure({[] { sleep_us(1000); }}, {.rounds = 1'000'000, .budget_s = 0.5});
  EXPECT_LT(now_ns() - start, int64_t{10'000'000'000});
  EXPECT_GE(m.rounds, 3);
}

TEST(QuickTime, StopsAfterOneLongCall) {
  int calls = 0;
  const double ns = quick_time([&] { ++calls, sleep_us(20'000); }, 1'000'000, 10'000'000);
  EXPECT_EQ(calls, 1);
  EXPECT_GE(ns, 20e6);
}

TEST(Quantile, InterpolatesBetweenSortedValues) {
  EXPECT_DOUBLE_EQ(quantile({4, 1, 3, 2}, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(quantile({4, 1, 3, 2}, 0), 1);
  EXPECT_DOUBLE_EQ(quantile({4, 1, 3, 2}, 1), 4);
}

}  // namespace
}  // namespace backplane::bench
