// SPDX-License-Identifier: Apache-2.0
// Tuner: which level answers, what each mode may do, and that measuring happens where it is asked for and nowhere else.
// How problems are measured is made up here; race.h has tests of its own.
#include "backplane/autotune/tuner.h"

#include <gmock/gmock.h>

#include <cmath>
#include <condition_variable>
#include <thread>

#include "allocations.h"
#include "backplane/host/error.h"
#include "memo.h"
#include "records.h"
#include "virtual_device.h"

namespace backplane::autotune {
namespace {

using test::Folder;
using test::Product;
using ::testing::HasSubstr;

class LookUp : public ::testing::Test {
 protected:
  LookUp() : device(test::virtual_device("noise-quiet")) {}

  /// Takes the last variant there is, which takes half of the default's time, and says so.
  Outcome made_up(const bp_op& op, const Request& request) {
    ++calls;
    last = request;
    Outcome outcome;
    for (const host::Variant& each : device->variants(op)) {
      Candidate c;
      c.variant = each.name, c.is_default = (each.flags & BP_VARIANT_DEFAULT) != 0, c.verdict = Verdict::raced;
      c.times = {1000, 900, 1100, 5};
      outcome.candidates.push_back(c);
    }
    outcome.candidates.back().log_ratio = {-gain, -gain - 0.01, -gain + 0.01};
    outcome.chosen = outcome.candidates.back().variant;
    outcome.why = "made up", outcome.decided = decides, outcome.spent_ns = spends_ns;
    outcome.build_ns = builds_ns;
    return outcome;
  }
  std::shared_ptr<Tuning> tuning(Mode mode, std::vector<Pin> pins = {}) {
    TuningOptions options;
    options.mode = mode, options.store = folder.file(), options.pins = std::move(pins);
    options.key_budget_ns = 100, options.total_budget_ns = 250;
    return std::make_shared<Tuning>(options, [this](const host::DevicePtr&, const bp_op& op, const Request& request) {
      return made_up(op, request);
    });
  }
  std::string last_variant(const Product& p) { return device->variants(p.op).back().name; }
  void learn(const Product& p) { Tuner(device, tuning(Mode::on)).measure(p.op); }
  /// What a fresh process would say.
  Decision ask(Mode mode, const Product& p, std::vector<Pin> pins = {}) {
    Tuner tuner(device, tuning(mode, std::move(pins)));
    const Decision decision = tuner.decide(p.op);
    measurements = tuner.measurements();
    return decision;
  }

  Folder folder;
  host::DevicePtr device;
  Request last;
  std::atomic<int> calls{0};
  double gain = std::log(2);
  bool decides = true;
  uint64_t spends_ns = 100, builds_ns = 0;
  uint64_t measurements = 0;
};

TEST_F(LookUp, WithoutAnythingStoredEveryModeThatOnlyLooksUsesTheDefault) {
  const Product p(64, 64, 64);
  for (const Mode mode : {Mode::off, Mode::cached, Mode::locked}) {
    const Decision d = ask(mode, p);
    EXPECT_EQ(d.variant, "");
    EXPECT_EQ(d.level, Level::fallback);
    EXPECT_NE(d.why, "");
  }
  EXPECT_EQ(calls, 0);
  EXPECT_FALSE(std::filesystem::exists(folder.file())) << "looking makes no file";
}

TEST_F(LookUp, WhatIsMeasuredAnswersExactlyAndMeasuresNothing) {
  const Product p(64, 64, 64);
  learn(p);
  calls = 0;
  for (const Mode mode : {Mode::cached, Mode::on, Mode::locked}) {
    const Decision d = ask(mode, p);
    EXPECT_EQ(d.variant, last_variant(p));
    EXPECT_EQ(d.level, Level::exact);
    EXPECT_EQ(d.why, "made up");
    EXPECT_EQ(measurements, 0u);
  }
  EXPECT_EQ(ask(Mode::off, p).variant, "");
  EXPECT_EQ(calls, 0);
}

TEST_F(LookUp, AskedAgainItAllocatesNothing) {
  const Product p(64, 64, 64);
  learn(p);
  Tuner tuner(device, tuning(Mode::cached));
  const size_t before = test::allocations();
  const Decision& first = tuner.decide(p.op);
  const size_t asked_once = test::allocations();
  EXPECT_GT(asked_once, before) << "nothing is counted here";
  for (int i = 0; i < 100; ++i) EXPECT_EQ(&tuner.decide(p.op), &first);
  EXPECT_EQ(test::allocations(), asked_once);
}

TEST_F(LookUp, OnMeasuresWhatIsMissingOnce) {
  const Product p(64, 64, 64);
  Tuner tuner(device, tuning(Mode::on));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(tuner.decide(p.op).variant, last_variant(p));
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(ask(Mode::on, p).level, Level::exact);
  EXPECT_EQ(calls, 1) << "it is in the store";
  EXPECT_EQ(ask(Mode::force, p).level, Level::exact);
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(last.incumbent, last_variant(p));
}

TEST_F(LookUp, TheNearestShapeAnswersWhereItsVariantIsThere) {
  const Product near(64, 64, 64), like_it(64, 96, 64), far(64, 4096, 64);
  learn(near);
  const bool offered = [&] {
    for (const host::Variant& each : device->variants(like_it.op)) {
      if (each.name == last_variant(near)) return true;
    }
    return false;
  }();
  const Decision d = ask(Mode::cached, like_it);
  EXPECT_EQ(d.level, offered ? Level::nearest : Level::fallback);
  EXPECT_EQ(d.variant, offered ? last_variant(near) : "");
  EXPECT_EQ(ask(Mode::locked, like_it).variant, "") << "locked guesses nothing";
  EXPECT_EQ(ask(Mode::cached, far).variant, "");
}

TEST_F(LookUp, TheNearestShapeIsNotBelievedWithoutEvidence) {
  gain = 0.05;
  size_t unsure = 0;
  for (int64_t m = 16; m <= 512; m *= 2) {
    learn(Product(m, 32, 32));
    const Decision d = ask(Mode::cached, Product(m + m / 4, 32, 32));
    EXPECT_EQ(d.level, Level::fallback);
    unsure += d.why.find("not sure enough") != std::string::npos;
    Tuner(device, tuning(Mode::on)).tuning().store().clear();
  }
  EXPECT_GT(unsure, 0u);
}

TEST_F(LookUp, TheNearestShapeCountsForMany) {
  // Of many pairs of shapes some have the neighbour's variant and some have not; both have to be seen.
  size_t used = 0, refused = 0;
  for (int64_t m = 16; m <= 512; m *= 2) {
    const Product p(m, 32, 32), next(m + m / 4, 32, 32);
    learn(p);
    const Decision d = ask(Mode::cached, next);
    bool offered = false;
    for (const host::Variant& each : device->variants(next.op)) offered = offered || each.name == d.variant;
    if (d.level == Level::nearest) {
      EXPECT_TRUE(offered) << "a variant that the device does not list for this shape";
      ++used;
    } else {
      ++refused;
    }
    Tuner(device, tuning(Mode::on)).tuning().store().clear();
  }
  EXPECT_GT(used, 0u);
  EXPECT_EQ(used + refused, 6u);
}

TEST_F(LookUp, RowsOfOnePolicyNeverAnswerForAnother) {
  Product p(64, 64, 64);
  learn(p);
  p.op.deterministic = 1;
  EXPECT_NE(ask(Mode::cached, p).level, Level::exact);
  p.op.deterministic = 0, p.op.math_mode = BP_MATH_FAST;
  EXPECT_EQ(ask(Mode::cached, p).variant, "");
  p.op.math_mode = BP_MATH_STRICT, p.op.max_workspace = 1 << 20;
  EXPECT_EQ(ask(Mode::cached, p).variant, "");
}

TEST_F(LookUp, AStoredVariantThatIsGoneIsNotUsed) {
  const Product p(64, 64, 64);
  learn(p);
  Store store(folder.file());
  Record record = store.records().at(0);
  record.outcome.chosen = "renamed";
  store.put(record);
  const Decision d = ask(Mode::cached, p);
  EXPECT_EQ(d.variant, "");
  EXPECT_THAT(d.why, HasSubstr("renamed"));
}

TEST_F(LookUp, WhatWasNotDecidedIsMeasuredAgain) {
  const Product p(64, 64, 64);
  decides = false;
  EXPECT_EQ(ask(Mode::on, p).variant, "");
  EXPECT_EQ(ask(Mode::on, p).variant, "");
  EXPECT_EQ(calls, 2);
}

TEST_F(LookUp, TheBudgetOfAProcessEndsMeasuring) {
  Tuner tuner(device, tuning(Mode::on));
  for (int64_t i = 1; i <= 5; ++i) tuner.decide(Product(8 * i, 40, 3).op);
  EXPECT_EQ(calls, 3) << "250 of budget, 100 a problem, and what is left";
  EXPECT_EQ(last.budget_ns, 50u);
}

TEST_F(LookUp, BuildsCountAgainstTheBudgetOfAProcess) {
  builds_ns = 120;
  Tuner tuner(device, tuning(Mode::on));
  for (int64_t i = 1; i <= 5; ++i) {
    tuner.decide(Product(8 * i, 40, 3).op);
    EXPECT_TRUE(i > 1 || last.total_ns == 250) << last.total_ns;
  }
  EXPECT_EQ(calls, 2) << "250 in all, 220 for the first, 30 for the second";
  EXPECT_EQ(last.total_ns, 30u);
}

TEST_F(LookUp, WhatIsNotSpentIsThereForTheNext) {
  spends_ns = 10;
  Tuner tuner(device, tuning(Mode::on));
  for (int64_t i = 1; i <= 9; ++i) tuner.decide(Product(8 * i, 40, 3).op);
  EXPECT_EQ(calls, 9);
}

TEST_F(LookUp, AFailedMeasurementIsTheDefault) {
  TuningOptions options;
  options.mode = Mode::on, options.store = folder.file();
  Tuner tuner(device, std::make_shared<Tuning>(options, [](auto&&...) -> Outcome {
    throw host::Error(BP_E_OUT_OF_MEMORY, "no memory for it");
  }));
  const Decision& d = tuner.decide(Product(64, 64, 64).op);
  EXPECT_EQ(d.variant, "");
  EXPECT_THAT(d.why, HasSubstr("no memory for it"));
}

TEST_F(LookUp, OneThreadMeasuresWhileOthersUseTheDefault) {
  const Product p(64, 64, 64);
  std::mutex mutex;
  std::condition_variable changed;
  bool started = false, finish = false;
  TuningOptions options;
  options.mode = Mode::on, options.store = folder.file();
  Tuner tuner(device,
              std::make_shared<Tuning>(options, [&](const host::DevicePtr&, const bp_op& op, const Request& request) {
                std::unique_lock lock(mutex);
                started = true;
                changed.notify_all();
                changed.wait(lock, [&] { return finish; });
                return made_up(op, request);
              }));
  std::thread measuring([&] { EXPECT_EQ(tuner.decide(p.op).variant, last_variant(p)); });
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return started; });
  }
  const Decision meanwhile = tuner.decide(p.op);
  EXPECT_EQ(meanwhile.variant, "");
  EXPECT_THAT(meanwhile.why, HasSubstr("another thread"));
  {
    const std::lock_guard lock(mutex);
    finish = true;
    changed.notify_all();
  }
  measuring.join();
  EXPECT_EQ(tuner.decide(p.op).variant, last_variant(p)) << "the default was not remembered";
  EXPECT_EQ(calls, 1);
}

TEST_F(LookUp, APinWinsOverWhatIsStored) {
  const Product p(64, 64, 64);
  learn(p);
  const Decision d = ask(Mode::cached, p, {{"softmax", "*"}, {"matmul", "order1*"}});
  EXPECT_EQ(d.level, Level::pinned);
  EXPECT_THAT(d.variant, HasSubstr("order1"));
  EXPECT_EQ(ask(Mode::off, p, {{"matmul", "order1*"}}).level, Level::pinned);
  EXPECT_EQ(ask(Mode::cached, p, {{"matmul", "no such one"}}).level, Level::exact);
}

TEST_F(LookUp, WhatCannotBeBuiltIsTheDefaultFromThenOn) {
  const Product p(64, 64, 64);
  learn(p);
  Tuner tuner(device, tuning(Mode::cached));
  ASSERT_EQ(tuner.decide(p.op).level, Level::exact);
  tuner.reject(p.op, "cannot be built");
  EXPECT_EQ(tuner.decide(p.op).variant, "");
  EXPECT_EQ(tuner.decide(p.op).why, "cannot be built");
}

TEST_F(LookUp, AnEarlierBuildsTimesAreTriedFirst) {
  const Product p(64, 64, 64);
  learn(p);
  Store store(folder.file());
  Record record = store.records().at(0);
  store.clear();
  record.device.build = "an earlier one";
  store.put(record);
  EXPECT_EQ(ask(Mode::cached, p).variant, "");
  learn(p);
  EXPECT_EQ(last.priors.size(), device->variants(p.op).size());
  EXPECT_EQ(last.incumbent, "");
}

TEST_F(LookUp, TheEnvironmentIsReadAndNonsenseRefused) {
  ::setenv("BACKPLANE_TUNE", "locked", 1);
  ::setenv("BACKPLANE_TUNE_BUDGET_MS", "20,3000", 1);
  ::setenv("BACKPLANE_TUNE_DISTORT", "inverse", 1);
  ::setenv("BACKPLANE_VARIANT", "matmul=tiled@bm=64,bn=64; softmax=rows", 1);
  const TuningOptions options = TuningOptions::from_environment();
  EXPECT_EQ(options.mode, Mode::locked);
  EXPECT_EQ(options.key_budget_ns, 20'000'000u);
  EXPECT_EQ(options.total_budget_ns, 3'000'000'000u);
  EXPECT_EQ(options.distortion, Distortion::inverse);
  ASSERT_EQ(options.pins.size(), 2u);
  EXPECT_EQ(options.pins[0].variant, "tiled@bm=64,bn=64");
  EXPECT_EQ(options.pins[1].operation, "softmax");
  for (const auto& [name, value] : std::vector<std::pair<const char*, const char*>>{
           {"BACKPLANE_TUNE", "sometimes"}, {"BACKPLANE_TUNE_DISTORT", "wild"}, {"BACKPLANE_TUNE_BUDGET_MS", "0"},
           {"BACKPLANE_TUNE_BUDGET_MS", "1,x"}, {"BACKPLANE_VARIANT", "matmul"}, {"BACKPLANE_VARIANT", "flying=x"}}) {
    ::setenv(name, value, 1);
    EXPECT_THROW(TuningOptions::from_environment(), host::Error) << name << "=" << value;
    ::unsetenv(name);
  }
  for (const char* name : {"BACKPLANE_TUNE", "BACKPLANE_TUNE_BUDGET_MS", "BACKPLANE_VARIANT"}) ::unsetenv(name);
}

TEST(Memo, TellsManyProblemsApartAndGrows) {
  Memo memo;
  int id = 0;
  for (int64_t m = 1; m <= 20; ++m) {
    for (int64_t n = 1; n <= 20; ++n) {
      for (int64_t k = 1; k <= 20; ++k)
        memo.put(OpHash::of(Product(m, n, k).op), {std::to_string(id++), Level::exact, ""});
    }
  }
  id = 0;
  for (int64_t m = 1; m <= 20; ++m) {
    for (int64_t n = 1; n <= 20; ++n) {
      for (int64_t k = 1; k <= 20; ++k) {
        const Decision* found = memo.find(OpHash::of(Product(m, n, k).op));
        ASSERT_NE(found, nullptr);
        ASSERT_EQ(found->variant, std::to_string(id++));
      }
    }
  }
  EXPECT_EQ(memo.find(OpHash::of(Product(21, 1, 1).op)), nullptr);
}

TEST(Memo, ReadersSeeWholeEntriesWhileItGrows) {
  Memo memo;
  std::atomic<bool> done{false};
  std::atomic<int> wrong{0};
  std::thread reader([&] {
    while (!done) {
      for (int64_t m = 1; m <= 3000; m += 7) {
        const Decision* found = memo.find(OpHash::of(Product(m, 1, 1).op));
        wrong += found != nullptr && found->variant != std::to_string(m);
      }
    }
  });
  for (int64_t m = 1; m <= 3000; ++m) memo.put(OpHash::of(Product(m, 1, 1).op), {std::to_string(m), Level::exact, ""});
  done = true;
  reader.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace backplane::autotune
