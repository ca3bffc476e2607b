// SPDX-License-Identifier: Apache-2.0
// The model for shapes that were not measured, on surfaces that are known exactly: it gains where there is something to
// learn, stays with the default where there is not, and its errors are what it says.
#include "model.h"

#include <gmock/gmock.h>

#include <cmath>
#include <random>

#include "backplane/autotune/tuner.h"
#include "records.h"
#include "surfaces.h"
#include "virtual_device.h"

namespace backplane::autotune {
namespace {

using namespace test;
using ::testing::HasSubstr;

Guess ask(Model& model, const Shape& shape, const std::vector<host::Variant>& variants = offered()) {
  return product(shape).with_op([&](const bp_op& op) { return model.choose(op, Key::of(op), variants); });
}

struct Judged {
  double regret = 0, regret_of_default = 0;  ///< means of ln
  size_t left = 0, worse = 0;                ///< the default was left; for something more than 2 % slower
};

Judged judge(Model& model, const std::vector<Shape>& shapes, const Surface& ns) {
  Judged sum;
  for (const Shape& shape : shapes) {
    const Guess guess = ask(model, shape);
    const std::string chosen = guess.variant.empty() ? kDefault : guess.variant;
    double best = 1e300;
    for (const std::string& each : kVariants) best = std::min(best, ns(shape, each));
    const auto count = static_cast<double>(shapes.size());
    sum.regret += std::log(ns(shape, chosen) / best) / count;
    sum.regret_of_default += std::log(ns(shape, kDefault) / best) / count;
    sum.left += chosen != kDefault;
    sum.worse += ns(shape, chosen) > 1.02 * ns(shape, kDefault);
  }
  return sum;
}

TEST(Model, GainsWhereShapesDecide) {
  Model model(records_of(random_shapes(60, 1), tiled_ns), 2);
  const Judged j = judge(model, random_shapes(400, 2), tiled_ns);
  EXPECT_GT(j.left, 80u);
  EXPECT_LT(j.regret, 0.5 * j.regret_of_default) << j.regret_of_default;
  EXPECT_LE(j.worse, 4u) << "1 %";
}

TEST(Model, StaysWithTheDefaultWhereTimesAreRandom) {
  size_t left = 0;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    Model model(records_of(random_shapes(40, seed), random_ns), 2);
    left += judge(model, random_shapes(100, 100 + seed), random_ns).left;
  }
  EXPECT_LE(left, 10u) << "of 1000";
}

TEST(Model, TwoModelsOfTheSameRecordsAgree) {
  const auto records = records_of(random_shapes(40, 3), tiled_ns);
  Model one(records, 2), two(records, 2);
  for (const Shape& shape : random_shapes(50, 4)) {
    const Guess a = ask(one, shape), b = ask(two, shape);
    EXPECT_EQ(a.variant, b.variant);
    EXPECT_EQ(a.why, b.why);
  }
}

/// One variant is twice as fast everywhere; what would speak against it?
double clear_ns(const Shape&, const std::string& variant) { return variant == "plain" ? 500 : 1000; }
const Shape kAsked{100, 200, 300};

TEST(Model, SaysWhatItExpects) {
  Model model(records_of(random_shapes(20, 5), clear_ns), 2);
  const Guess guess = ask(model, kAsked);
  EXPECT_EQ(guess.variant, "plain");
  EXPECT_THAT(guess.why, HasSubstr("50.0 %"));
  EXPECT_THAT(guess.why, HasSubstr("20 measured shapes"));
}

TEST(Model, NeedsEightShapes) {
  Model seven(records_of(random_shapes(7, 5), clear_ns), 2), eight(records_of(random_shapes(8, 5), clear_ns), 2);
  EXPECT_EQ(ask(seven, kAsked).variant, "");
  EXPECT_EQ(ask(eight, kAsked).variant, "plain");
}

/// Shapes of 128 to 1023 are known, and "plain" is the fastest of all of them: that says nothing of tiny ones.
TEST(Model, SaysNothingOfWhatLiesFarOutside) {
  std::vector<Shape> known;
  for (const Shape& each : random_shapes(400, 6)) {
    if (std::min({each.m, each.n, each.k}) >= 128) known.push_back(each);
  }
  ASSERT_GE(known.size(), 20u);
  Model model(records_of(known, clear_ns), 2);
  EXPECT_EQ(ask(model, {300, 300, 300}).variant, "plain");
  EXPECT_EQ(ask(model, {100, 300, 300}).variant, "plain") << "nearly inside";
  EXPECT_EQ(ask(model, {300, 300, 30}).variant, "");
  EXPECT_EQ(ask(model, {2, 3, 4}).variant, "");
  EXPECT_EQ(ask(model, {300, 300, 5000}).variant, "");
}

TEST(Model, NeverTakesWhatFailedACheckAnywhere) {
  auto records = records_of(random_shapes(20, 5), clear_ns);
  records[3].outcome.candidates.back().verdict = Verdict::wrong;
  Model model(records, 2);
  EXPECT_EQ(ask(model, kAsked).variant, "");
}

TEST(Model, TakesOnlyWhatIsOfferedAndAllowedHere) {
  Model model(records_of(random_shapes(20, 5), clear_ns), 2);
  EXPECT_EQ(ask(model, kAsked, offered({kDefault, "another"})).variant, "");
  auto risky = offered();
  risky.back().flags = BP_VARIANT_RISKY;
  EXPECT_EQ(ask(model, kAsked, risky).variant, "");
  auto tf32 = offered();
  tf32.back().numeric_notes = BP_NOTE_TF32;
  EXPECT_EQ(ask(model, kAsked, tf32).variant, "") << "the policy is strict";
}

TEST(Model, AnotherDefaultIsComparedWithWhatWasMeasuredOfIt) {
  Model model(records_of(random_shapes(20, 5), clear_ns), 2);
  EXPECT_EQ(ask(model, kAsked, offered({"plain", kDefault})).variant, "") << "the default is the fastest here";
}

// Leaving one out: is the error of a prediction what the regression says of it? -------------------------------------
struct Sampled {
  std::vector<Features> points;
  std::vector<double> targets;
};
Sampled sample(size_t count, double noise, uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::uniform_real_distribution<double> place(0, 8);
  std::normal_distribution<double> error(0, noise);
  Sampled s;
  for (size_t i = 0; i < count; ++i) {
    const double x = place(engine), y = place(engine);
    s.points.push_back({x, y});
    s.targets.push_back(0.2 * x + std::sin(y) + error(engine));
  }
  return s;
}

TEST(Regression, ItsErrorIsThatOfPointsItHasNotSeen) {
  for (const double noise : {0.02, 0.1, 0.5}) {
    const Sampled seen = sample(60, noise, 1), fresh = sample(400, noise, 2);
    const Regression fit(seen.points, seen.targets);
    double squares = 0;
    size_t within = 0;
    for (size_t i = 0; i < fresh.points.size(); ++i) {
      const Prediction p = fit.at(fresh.points[i]);
      squares += (p.value - fresh.targets[i]) * (p.value - fresh.targets[i]);
      within += std::fabs(p.value - fresh.targets[i]) <= 2 * p.error;
    }
    const double error = std::sqrt(squares / static_cast<double>(fresh.points.size()));
    EXPECT_GE(within, 360u) << "of 400, noise " << noise;
    EXPECT_LT(error, 2 * fit.left_out_error() + 0.01) << "noise " << noise;
    EXPECT_GT(error, 0.5 * fit.left_out_error()) << "noise " << noise;
  }
}

TEST(Regression, LeavesOutAsIfThePointHadNeverBeen) {
  Sampled s;
  for (int x = -3; x <= 3; ++x) {
    for (int y = -3; y <= 3; ++y) {
      s.points.push_back({double(x), double(y)});
      s.targets.push_back(0.2 * x + std::sin(y) + 0.1 * ((x * 7 + y * 5) % 3));
    }
  }
  const size_t middle = 24;  // without it the centre of all points stays where it is
  s.targets[middle] += 0.3;
  const Regression all(s.points, s.targets);
  Sampled without = s;
  without.points.erase(without.points.begin() + middle);
  without.targets.erase(without.targets.begin() + middle);
  const Regression refitted(without.points, without.targets);
  EXPECT_NEAR(all.left_out()[middle], refitted.at(s.points[middle]).value, 1e-9);
  EXPECT_GT(std::fabs(all.left_out()[middle] - all.at(s.points[middle]).value), 1e-3) << "its own target has a say";
}

TEST(Regression, IsLessSureFarFromEverything) {
  const Sampled s = sample(60, 0.05, 1);
  const Regression fit(s.points, s.targets);
  EXPECT_GT(fit.at({30, 30}).error, 3 * fit.at({4, 4}).error);
}

// Features ------------------------------------------------------------------------------------------------------------
TEST(Features, OneClassHasOneOperationWhateverItsStridesAndGroups) {
  EXPECT_EQ(class_of("matmul f32[2],f32[2]->f32[2]"), "matmul f32[2],f32[2]->f32[2]");
  EXPECT_EQ(class_of("convolution{spatial_rank=2 groups=1 stride=1,1,0} f32[4],f32[4]->f32[4]"),
            class_of("convolution{spatial_rank=2 groups=8 stride=2,2,0} f32[4],f32[4]->f32[4]"));
  EXPECT_NE(class_of("softmax{axis=1} f32[2]->f32[2]"), class_of("softmax{axis=0} f32[2]->f32[2]"));
  EXPECT_NE(class_of("matmul f32[2]:t10,f32[2]->f32[2]"), class_of("matmul f32[2],f32[2]->f32[2]"));
  EXPECT_EQ(class_of("matmul f32[2]->f32[2] program=3:aa"), class_of("matmul f32[2]->f32[2] program=3:bb"));
  EXPECT_NE(class_of("matmul f32[2]->f32[2] program=3:aa"), class_of("matmul f32[2]->f32[2] program=4:aa"));
}

TEST(Features, TilesAreReadFromNames) {
  const auto expect = [](const char* name, double rows, double columns) {
    EXPECT_EQ(Tile::of(name).rows, rows) << name;
    EXPECT_EQ(Tile::of(name).columns, columns) << name;
  };
  expect("tiled@bm=64,bn=32,bk=16", 64, 32);
  expect("tile@r=8,c=2x16,pack_b", 8, 32);
  expect("naive", 1, 1);
  expect("onednn@impl=brg:avx512_core,split=m", 1, 1);
  expect("tile@r=,c=x", 1, 1);
}

TEST(Features, EdgesAndIdleUnitsAreWaste) {
  const auto waste = [](const Shape& s) {
    return product(s).with_op([](const bp_op& op) { return waste_of(op, {64, 64}, 2); });
  };
  EXPECT_EQ(waste({64, 128, 5}).edges, 0);
  EXPECT_EQ(waste({64, 128, 5}).turns, 0) << "two tiles for two units";
  EXPECT_EQ(waste({32, 128, 5}).edges, 1) << "half of each tile";
  EXPECT_EQ(waste({64, 64, 5}).turns, 1) << "one of two units has nothing to do";
}

// As a program asks ---------------------------------------------------------------------------------------------------
TEST(LookUp, AnswersFromTheModelWhereNoShapeIsNear) {
  const host::DevicePtr device = test::virtual_device("noise-quiet");
  const test::Product far(128, 128, 128);  // in the middle of them, and far from all
  std::vector<std::string> names;
  for (const host::Variant& each : device->variants(far.op)) names.push_back(each.name);
  ASSERT_GE(names.size(), 2u);
  std::vector<Shape> corners;
  for (const int64_t m : {16, 1024}) {
    for (const int64_t n : {16, 1024}) corners.insert(corners.end(), {{m, n, 16}, {m, n, 1024}});
  }
  const test::Folder folder;
  {
    Store store(folder.file());
    for (Record record : records_of(corners, clear_ns)) {
      record.device = Fingerprint::of(*device);
      record.outcome.candidates[0].variant = names[0], record.outcome.candidates[2].variant = names[1];
      ASSERT_TRUE(store.put(record));
    }
  }
  const auto decide = [&](Mode mode) {
    TuningOptions options;
    options.mode = mode, options.store = folder.file();
    Tuner tuner(device, std::make_shared<Tuning>(options));
    const Decision decision = tuner.decide(far.op);
    EXPECT_EQ(tuner.measurements(), 0u);
    return decision;
  };
  EXPECT_EQ(decide(Mode::cached).level, Level::model);
  EXPECT_EQ(decide(Mode::cached).variant, names[1]);
  EXPECT_EQ(decide(Mode::locked).level, Level::fallback) << "locked guesses nothing";
}

}  // namespace
}  // namespace backplane::autotune
