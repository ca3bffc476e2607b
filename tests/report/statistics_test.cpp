// SPDX-License-Identifier: Apache-2.0
#include "report/statistics.h"

#include <gtest/gtest.h>

namespace backplane::bench::report {

namespace {

TEST(Statistics, StudentsDistribution) {
  EXPECT_NEAR(two_sided_p(kTFor95Percent), 0.05, 1e-5);
  EXPECT_NEAR(two_sided_p(8.610), 0.001, 1e-5);  // a table of t with 4 degrees
  EXPECT_NEAR(two_sided_p(0), 1, 1e-12);
  EXPECT_NEAR(two_sided_p(-2), two_sided_p(2), 1e-15);
}

TEST(Statistics, AdjustmentIsBenjaminisAndHochbergs) {
  const std::vector<double> adjusted = adjusted_for_many({0.01, 0.5, 0.02, 0.03});
  EXPECT_NEAR(adjusted[0], 0.04, 1e-12);
  EXPECT_NEAR(adjusted[1], 0.5, 1e-12);
  EXPECT_NEAR(adjusted[2], 0.04, 1e-12);
  EXPECT_NEAR(adjusted[3], 0.04, 1e-12);
}

TEST(Statistics, StretchesThatDisagreeWidenTheDeviation) {
  std::vector<double> values;
  for (const int level : {100, 104, 101, 105, 102, 103})
    for (int i = 0; i < 20; ++i) values.push_back(level + 0.01 * i);
  const double alone = bootstrap_deviation(values, {}, 1);
  EXPECT_GT(bootstrap_deviation(values, {20, 20, 20, 20, 20, 20}, 1), 2 * alone);
  EXPECT_EQ(bootstrap_deviation(values, {}, 1), alone) << "the same seed, the same result";
}

}  // namespace

}  // namespace backplane::bench::report
