// SPDX-License-Identifier: Apache-2.0
// What similar shapes say of one that was not measured: something where they are near, agree and are fast enough, and
// nothing else.
#include "neighbours.h"

#include <gmock/gmock.h>

#include "surfaces.h"

namespace backplane::autotune {
namespace {

using namespace test;
using ::testing::HasSubstr;

Guess ask(Neighbours& neighbours, const Shape& shape) {
  return product(shape).with_op([&](const bp_op& op) { return neighbours.choose(op, Key::of(op), offered()); });
}
/// "plain" takes that part of the default's time.
Surface plain_takes(double part) {
  return [part](const Shape&, const std::string& variant) { return variant == "plain" ? 1000 * part : 1000; };
}

const Shape kAsked{100, 200, 300};

TEST(Neighbours, OneIsEnoughWhereItIsNearAndTheGainIsLarge) {
  Neighbours one(records_of({{110, 200, 300}}, plain_takes(0.5)));
  const Guess guess = ask(one, kAsked);
  EXPECT_EQ(guess.variant, "plain");
  EXPECT_THAT(guess.why, HasSubstr("50.0 % ("));
  EXPECT_THAT(guess.why, HasSubstr("1 similar shapes, the closest at distance 0.19: 110x300,300x200->110x200"));
  Neighbours small_gain(records_of({{110, 200, 300}}, plain_takes(0.95)));
  EXPECT_EQ(ask(small_gain, kAsked).variant, "");
  EXPECT_THAT(ask(small_gain, kAsked).why, HasSubstr("not sure enough"));
  Neighbours far(records_of({{230, 200, 300}}, plain_takes(0.5)));
  EXPECT_EQ(ask(far, kAsked).variant, "") << "1.7 away";
  Neighbours further(records_of({{1000, 200, 300}}, plain_takes(0.01)));
  EXPECT_EQ(ask(further, kAsked).why, "") << "not asked at all";
}

TEST(Neighbours, ManyThatAgreeMakeASmallGainSure) {
  std::vector<Shape> shapes;
  for (int64_t m = 90; m <= 120; m += 3) shapes.push_back({m, 200, 300});
  Neighbours agree(records_of(shapes, plain_takes(0.9)));
  EXPECT_EQ(ask(agree, kAsked).variant, "plain");
  Neighbours disagree(records_of(shapes, [](const Shape& s, const std::string& variant) {
    return variant == "plain" ? (s.m % 2 == 0 ? 600.0 : 1300.0) : 1000.0;
  }));
  EXPECT_EQ(ask(disagree, kAsked).variant, "");
}

TEST(Neighbours, StayWithTheDefaultWhereTimesAreRandom) {
  size_t left = 0, worse = 0;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    Neighbours neighbours(records_of(random_shapes(96, seed), random_ns));
    for (const Shape& shape : random_shapes(100, 100 + seed)) {
      const Guess guess = ask(neighbours, shape);
      left += !guess.variant.empty();
      worse += !guess.variant.empty() && random_ns(shape, guess.variant) > 1.02 * random_ns(shape, kDefault);
    }
  }
  EXPECT_LE(left, 20u) << "of 1000";
  EXPECT_LE(worse, 10u);
}

TEST(Neighbours, AreSeldomWrongWhereShapesDecide) {
  Neighbours neighbours(records_of(random_shapes(96, 1), tiled_ns));
  size_t left = 0, worse = 0;
  for (const Shape& shape : random_shapes(1000, 2)) {
    const Guess guess = ask(neighbours, shape);
    left += !guess.variant.empty();
    worse += !guess.variant.empty() && tiled_ns(shape, guess.variant) > 1.02 * tiled_ns(shape, kDefault);
  }
  EXPECT_GT(left, 30u);
  EXPECT_LE(worse, 10u) << "1 %";
}

TEST(Neighbours, OtherProblemsSayNothing) {
  auto records = records_of({{110, 200, 300}}, plain_takes(0.5));
  records[0].key.problem += " program=1:00";
  Neighbours other(records);
  EXPECT_EQ(ask(other, kAsked).variant, "");
}

TEST(Neighbours, NeverTakeWhatFailedACheck) {
  auto records = records_of({{110, 200, 300}, {1000, 1000, 1000}}, plain_takes(0.5));
  records[1].outcome.candidates.back().verdict = Verdict::wrong;
  Neighbours neighbours(records);
  EXPECT_EQ(ask(neighbours, kAsked).variant, "");
}

}  // namespace
}  // namespace backplane::autotune
