// SPDX-License-Identifier: Apache-2.0
// A plugin that was built again: what was measured before answers as far as the code of the variants is the same, and
// only the rest is measured. Build 2 of the virtual clock has changed nothing, build 3 the variant order1@v=1.
#include <gmock/gmock.h>

#include <algorithm>
#include <set>
#include <stdexcept>

#include "../plugins/virtual_clock/surface.h"
#include "backplane/autotune/tuner.h"
#include "records.h"
#include "virtual_device.h"

namespace backplane::autotune {
namespace {

using test::Folder;
using test::Product;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

const std::string kChanged = "order1@v=1";

/// Times of a problem that is easily decided: its best variant is `best` and takes at least 10 % less than any other.
bool is_easy(const std::vector<double>& ns, size_t best) {
  if (ns.size() < 6 || best >= ns.size()) return false;
  for (size_t i = 0; i < ns.size(); ++i) {
    if (i != best && ns[i] < 1.1 * ns[best]) return false;
  }
  return true;
}

class Rebuild : public ::testing::Test {
 protected:
  struct Shape {
    int64_t m, n, k;
    std::vector<double> ns() const { return test::instance_of_shape(m, n, k).ns; }
  };
  /// A small shape whose times `fits`.
  template <class Fits>
  static Shape shape(Fits fits) {
    for (int64_t i = 0; i < 32 * 32 * 32; ++i) {
      const Shape shape{8 + i % 32, 8 + i / 32 % 32, 8 + i / 1024};
      if (fits(shape.ns())) return shape;
    }
    throw std::runtime_error("no shape fits");
  }
  static Shape where_another_wins() {
    return shape([](const std::vector<double>& ns) {
      const auto best = static_cast<size_t>(std::ranges::min_element(ns) - ns.begin());
      return best > 1 && is_easy(ns, best);
    });
  }
  static Shape where_the_changed_one_wins() {
    return shape([](const std::vector<double>& ns) {
      const auto slower = std::ranges::count_if(ns, [&](double t) { return t > 1.1 * ns[0]; });
      const auto faster = std::ranges::count_if(ns, [&](double t) { return t < 0.9 * ns[0]; });
      return is_easy(ns, 1) && slower > 1 && faster > 2;
    });
  }

  static host::DevicePtr device(int build) { return test::virtual_device("noise-none", build); }
  std::shared_ptr<Tuning> tuning(Mode mode) {
    TuningOptions options;
    options.mode = mode, options.store = folder.file();
    return std::make_shared<Tuning>(options, [this](const host::DevicePtr& on, const bp_op& op, const Request& asked) {
      Request mine = asked;
      mine.oracle = test::reference_device();
      mine.now_ns = test::virtual_request(on).now_ns;
      mine.progress = [&](const Progress& progress) {
        if (std::string(progress.stage) == "check") tried.insert(progress.variant);
        asked.progress(progress);
      };
      return tune(on, op, mine);
    });
  }
  /// What a fresh process with that build says; `tried` are the variants that it ran.
  Decision ask(int build, Mode mode, const Product& p) {
    tried.clear();
    Tuner tuner(device(build), tuning(mode));
    const Decision decision = tuner.decide(p.op);
    measurements = tuner.measurements();
    return decision;
  }
  std::optional<Record> record(int build, const Product& p) {
    Store store(folder.file());
    return test::stored(store, Key::of(p.op), Fingerprint::of(*device(build)));
  }

  Folder folder;
  std::set<std::string> tried;
  uint64_t measurements = 0;
};

TEST_F(Rebuild, WithoutAChangeEverythingAnswersAndNothingIsMeasured) {
  const auto [m, n, k] = where_another_wins();
  const Product p(m, n, k);
  ASSERT_NE(Fingerprint::of(*device(1)).build, Fingerprint::of(*device(2)).build);
  const Decision before = ask(1, Mode::on, p);
  ASSERT_EQ(before.level, Level::exact);
  ASSERT_EQ(measurements, 1u);
  for (const Mode mode : {Mode::cached, Mode::locked, Mode::on}) {
    const Decision after = ask(2, mode, p);
    EXPECT_EQ(after.variant, before.variant);
    EXPECT_EQ(after.level, Level::exact);
    EXPECT_EQ(after.why, before.why);
    EXPECT_EQ(measurements, 0u);
  }
  EXPECT_FALSE(record(2, p)) << "there was nothing to write";
}

TEST_F(Rebuild, OnlyTheVariantThatChangedIsMeasured) {
  const auto [m, n, k] = where_another_wins();
  const Product p(m, n, k);
  const Decision before = ask(1, Mode::on, p);
  const Decision looked_up = ask(3, Mode::cached, p);
  EXPECT_EQ(looked_up.variant, before.variant) << "it is as much faster than the default as it was";
  EXPECT_EQ(looked_up.level, Level::exact);
  EXPECT_THAT(looked_up.why, HasSubstr("1 of"));
  EXPECT_EQ(measurements, 0u);

  EXPECT_EQ(ask(3, Mode::on, p).variant, before.variant);
  EXPECT_EQ(measurements, 1u);
  // The default and the choice are what it has to be compared with.
  EXPECT_THAT(tried, UnorderedElementsAre("order0@v=0", before.variant, kChanged));
  const auto old = record(1, p), now = record(3, p);
  ASSERT_TRUE(old && now);
  ASSERT_EQ(now->outcome.candidates.size(), old->outcome.candidates.size());
  for (const Candidate& each : old->outcome.candidates) {
    const Candidate* kept = now->outcome.find(each.variant);
    ASSERT_NE(kept, nullptr) << each.variant;
    EXPECT_EQ(kept->code_hash == each.code_hash, each.variant != kChanged) << each.variant;
    if (tried.contains(each.variant)) continue;
    EXPECT_EQ(kept->verdict, each.verdict) << each.variant;
    EXPECT_EQ(kept->times.median_ns, each.times.median_ns) << each.variant;
    EXPECT_EQ(kept->log_ratio.mean, each.log_ratio.mean) << each.variant;
  }
  for (const int build : {3, 1, 3, 1, 2}) {
    EXPECT_EQ(ask(build, Mode::on, p).variant, before.variant) << build;
    EXPECT_EQ(measurements, 0u) << build << ": builds do not throw each other's results away";
  }
}

TEST_F(Rebuild, AChoiceThatChangedIsMeasuredAgainWithThoseThatMayReplaceIt) {
  const Shape shape = where_the_changed_one_wins();
  const Product p(shape.m, shape.n, shape.k);
  ASSERT_EQ(ask(1, Mode::on, p).variant, kChanged);
  const Decision looked_up = ask(3, Mode::cached, p);
  EXPECT_EQ(looked_up.level, Level::fallback);
  EXPECT_THAT(looked_up.why, HasSubstr(kChanged + " has changed since"));
  const Decision measured = ask(3, Mode::on, p);
  EXPECT_EQ(measured.variant, kChanged);
  EXPECT_EQ(measured.level, Level::exact);
  const std::vector<double> ns = shape.ns();
  for (size_t i = 2; i < ns.size(); ++i) {
    const std::string name = "order" + std::to_string(i % 5) + "@v=" + std::to_string(i);
    if (ns[i] < 0.9 * ns[0]) {
      EXPECT_THAT(tried, Contains(name)) << "it was faster than the default";
    } else if (ns[i] > 1.1 * ns[0]) {
      EXPECT_THAT(tried, Not(Contains(name))) << "it was slower than the default";
    }
  }
}

TEST_F(Rebuild, MeasuredAnewEverythingIs) {
  const auto [m, n, k] = where_another_wins();
  const Product p(m, n, k);
  ask(1, Mode::on, p);
  ask(3, Mode::force, p);
  EXPECT_EQ(tried.size(), device(3)->variants(p.op).size());
}

TEST_F(Rebuild, ASimilarShapeAnswersAsBefore) {
  for (int64_t n = 8; n < 18; ++n) ask(1, Mode::on, Product(16, n, 8));
  size_t guessed = 0;
  for (int64_t n = 18; n < 30; ++n) {
    const Product p(16, n, 8);
    const Decision before = ask(1, Mode::cached, p), after = ask(2, Mode::cached, p);
    EXPECT_EQ(after.variant, before.variant);
    EXPECT_EQ(after.why, before.why);
    guessed += before.level != Level::fallback || before.why.find("not sure enough") != std::string::npos;
  }
  EXPECT_GT(guessed, 0u) << "nothing was known of any: this test looks at nothing";
}

TEST_F(Rebuild, WhatCrashedIsNotTriedAgainWhileItsCodeIsTheSame) {
  const auto [m, n, k] = where_another_wins();
  const Product p(m, n, k);
  ask(1, Mode::on, p);
  Store store(folder.file());
  Record crashed = *record(1, p);
  for (Candidate& each : crashed.outcome.candidates) {
    if (each.variant != "order2@v=2" && each.variant != kChanged) continue;
    each.verdict = Verdict::crashed, each.reason = "signal 11";
  }
  crashed.outcome.chosen = crashed.outcome.candidates[0].variant;
  ASSERT_TRUE(crashed.outcome.candidates[0].is_default);
  store.put(crashed);
  ask(3, Mode::force, p);
  EXPECT_THAT(tried, Not(Contains("order2@v=2")));
  EXPECT_THAT(tried, Contains(kChanged)) << "it may have been mended";
}

}  // namespace
}  // namespace backplane::autotune
