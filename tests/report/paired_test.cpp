// SPDX-License-Identifier: Apache-2.0
// Two builds that took turns: drifts that both share cancel, ten percent more is found, and nothing else.
#include <gmock/gmock.h>

#include <cmath>
#include <random>

#include "report/paired.h"
#include "report/statistics.h"

namespace backplane::bench::report {
namespace {

/// Rounds of 20 rows of two builds. The machine drifts by 20 % from round to round, medians differ by 2 % from process
/// to process, and one in ten is disturbed by up to 50 %.
struct Duel {
  std::vector<Run> before, after;
  Duel(uint64_t seed, int rounds, double slower) {
    std::mt19937_64 engine(seed);
    std::normal_distribution<double> normal;
    std::uniform_real_distribution<double> uniform;
    for (int r = 0; r < rounds; ++r) {
      const double drift = 0.2 * normal(engine);
      for (std::vector<Run>* side : {&before, &after}) {
        Run& run = side->emplace_back();
        for (int i = 0; i < 20; ++i) {
          Row& row = run.rows.emplace_back();
          row.name = std::to_string(i), row.device = "cpu:0", row.status = Status::measured;
          const double disturbed = uniform(engine) < 0.1 ? 0.5 * uniform(engine) : 0;
          const double slow = side == &after && i == 0 ? slower : 1;
          row.median_ns = 1000 * slow * std::exp(drift + 0.02 * normal(engine) + disturbed);
          row.samples_ns = {*row.median_ns};
        }
      }
    }
  }
};

TEST(Paired, FindsTenPercentAndNothingElse) {
  int found = 0, wrong = 0, same = 0;
  constexpr int kTrials = 50, kOthers = 19;
  for (int t = 0; t < kTrials; ++t) {
    Duel duel(static_cast<uint64_t>(t), 10, 1.1);
    const Comparison comparison = compare_paired(duel.before, duel.after);
    ASSERT_EQ(comparison.pairs.size(), 20u);
    for (const Pair& pair : comparison.pairs) {
      const bool slowed = pair.after->name == "0";
      found += slowed && pair.verdict == Verdict::slower;
      same += !slowed && pair.verdict == Verdict::same;
      wrong += !slowed && (pair.verdict == Verdict::slower || pair.verdict == Verdict::faster);
    }
  }
  EXPECT_GE(found, kTrials * 9 / 10);
  EXPECT_GE(same, kTrials * kOthers * 3 / 4);
  EXPECT_LE(wrong, kTrials * kOthers / 100);
}

TEST(Paired, RoundsBesideOtherProgramsDoNotCount) {
  Duel duel(1, 8, 1);
  for (size_t r = 0; r < 5; ++r) duel.after[r].rows[3].quiet = false;
  for (const Pair& pair : compare_paired(duel.before, duel.after).pairs) {
    if (pair.after->name != "3") continue;
    EXPECT_EQ(pair.verdict, Verdict::ambiguous);
    EXPECT_EQ(pair.why, "measured beside other programs");
  }
}

TEST(Paired, ARowMayBeginAndEndInAnyRound) {
  Duel duel(1, 8, 1);
  duel.before[0].rows[5].status = Status::skipped;
  duel.after[7].rows.resize(4);
  size_t measured = 0;
  for (const Pair& pair : compare_paired(duel.before, duel.after).pairs) measured += std::isfinite(pair.interval.high);
  EXPECT_EQ(measured, 20u);
}

TEST(Paired, LookingAgainCosts) {
  // Each round is 3 to 5 % slower: enough for a first look, not for the thousandth.
  Duel duel(1, 6, 1), again = duel;
  for (size_t r = 0; r < 6; ++r) {
    for (Duel* each : {&duel, &again}) {
      each->before[r].rows.resize(1), each->after[r].rows.resize(1);
      each->before[r].rows[0].samples_ns = {100};
      each->after[r].rows[0].samples_ns = {103.0 + static_cast<double>(r % 3)};
    }
  }
  EXPECT_EQ(compare_paired(duel.before, duel.after).pairs[0].verdict, Verdict::slower);
  EXPECT_NE(compare_paired(again.before, again.after, 1000).pairs[0].verdict, Verdict::slower);
}

TEST(TrimmedMean, LeavesOutTheExtremes) {
  const TrimmedMean mean = trimmed_mean({1, 2, 3, 4, 1000});
  EXPECT_DOUBLE_EQ(mean.mean, 3);
  EXPECT_EQ(mean.degrees, 2);
  EXPECT_LT(mean.error, 2);
}

TEST(StudentsT, IsThatOfTheTables) {
  // Abramowitz and Stegun, table 26.10.
  for (const auto& [degrees, t] : {std::pair{1, 12.706}, {2, 4.303}, {3, 3.182}, {4, 2.776}, {5, 2.571}, {9, 2.262}}) {
    EXPECT_NEAR(t_for_95_percent(degrees), t, 0.001) << degrees;
    EXPECT_NEAR(two_sided_p(t, degrees), 0.05, 1e-4) << degrees;
  }
}

}  // namespace
}  // namespace backplane::bench::report
