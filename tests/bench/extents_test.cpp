// SPDX-License-Identifier: Apache-2.0
#include "extents.h"

#include <gmock/gmock.h>

#include "backplane/graph/types.h"

namespace backplane::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST(Expression, FollowsTheRulesOfArithmetic) {
  const Dimensions known = {{"H", 28}, {"R", 3}, {"P", 1}, {"S", 2}};
  EXPECT_EQ(evaluate("7", known), 7);
  EXPECT_EQ(evaluate("1+2*3", known), 7);
  EXPECT_EQ(evaluate("(1+2)*3", known), 9);
  EXPECT_EQ(evaluate("(H+2*P-R)/S+1", known), 14);
  EXPECT_EQ(evaluate("-3", known), -3);
  EXPECT_EQ(evaluate("(1-4)/2", known), -2) << "divisions round down";
}

TEST(Expression, RefusesWhatItDoesNotUnderstand) {
  for (const char* text : {"", "M", "1+", "(1", "1)", "2**3", "1/0", "1 + 2", "9999999999999", "1000000*1000000*2"})
    EXPECT_THROW(evaluate(text, {}), Error) << text;
}

TEST(Values, AreRangesListsAndExpressions) {
  EXPECT_THAT(expand_values("64-512*2", {}), ElementsAre(64, 128, 256, 512));
  EXPECT_THAT(expand_values("64-500*2", {}), ElementsAre(64, 128, 256));
  EXPECT_THAT(expand_values("8-32+8", {}), ElementsAre(8, 16, 24, 32));
  EXPECT_THAT(expand_values("1-4", {}), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(expand_values("7,13,31-33,M+1", {{"M", 4}}), ElementsAre(7, 13, 31, 32, 33, 5));
}

TEST(Values, RefuseRangesThatNeverEnd) {
  for (const char* text : {"9-1", "1-9*1", "1-9+0", "0-9*2", "1-1000000"})
    EXPECT_THROW(expand_values(text, {}), Error) << text;
}

TEST(Ranges, AreReadAsOnACommandLine) {
  const auto ranges = parse_ranges("M=64-256*2,N=M,K=7,13");
  ASSERT_EQ(ranges.size(), 3u);
  EXPECT_EQ(ranges[0].values, "64-256*2");
  EXPECT_EQ(ranges[2].values, "7,13");
  EXPECT_THROW(parse_ranges("64-256*2"), Error);
  EXPECT_THROW(parse_ranges("axis=1"), Error) << "a dimension starts with a capital letter";
}

TEST(Combinations, LetLaterDimensionsFollowEarlierOnes) {
  const auto all = combinations({{"M", "2,3"}, {"N", "M*10,1"}});
  ASSERT_EQ(all.size(), 4u);
  EXPECT_THAT(all[0], ElementsAre(Pair("M", 2), Pair("N", 20)));
  EXPECT_THAT(all[3], ElementsAre(Pair("M", 3), Pair("N", 1)));
  EXPECT_THROW(combinations({{"N", "M"}, {"M", "1"}}), Error);
  EXPECT_THAT(combinations({}), ElementsAre(IsEmpty()));
}

}  // namespace
}  // namespace backplane::bench
