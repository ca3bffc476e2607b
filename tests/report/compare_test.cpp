// SPDX-License-Identifier: Apache-2.0
// Verdicts on samples whose truth is known.
#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <random>
#include <sstream>

#include "report/compare.h"
#include "report/merge.h"
#include "report/results_json.h"
#include "report/statistics.h"

namespace backplane::bench::report {

namespace {

using testing::HasSubstr;
using testing::Not;

/// How the samples of a run come about: each has noise of its own, each stretch and each case of a run a drift.
struct Noise {
  double sample = 0.02, stretch = 0.006, run = 0.006;
  double spikes = 0.05;  ///< share of samples that something interrupted
};

class Machine {
 public:
  explicit Machine(uint64_t seed, Noise noise = {}) : engine_(seed), noise_(noise) {}

  /// A run of `cases` cases; the first `changed` take `factor` times as long as they should.
  report::Run run(size_t cases, size_t changed = 0, double factor = 1) {
    report::Run result;
    result.environment.noise_floor = noise_.run;
    for (size_t i = 0; i < cases; ++i) result.rows.push_back(row(i, i < changed ? factor : 1));
    return result;
  }

 private:
  Row row(size_t index, double factor) {
    Row row;
    row.name = "case/" + std::to_string(index), row.op = "case", row.dtype = "f32", row.device = "cpu:0";
    row.status = Status::measured, row.command = "backplane bench --ops " + row.name;
    const double truth = 1e4 * static_cast<double>(index + 1) * factor * std::exp(noise_.run * normal_(engine_));
    for (int stretch = 0; stretch < 3; ++stretch) {
      const double drift = std::exp(noise_.stretch * normal_(engine_));
      for (int i = 0; i < 7; ++i) {
        double ns = truth * drift * std::exp(noise_.sample * std::abs(normal_(engine_)));
        if (uniform_(engine_) < noise_.spikes) ns *= 3;
        row.samples_ns.push_back(ns);
      }
      row.stretches.push_back(7);
    }
    row.samples = static_cast<int>(row.samples_ns.size());
    row.median_ns = median(row.samples_ns);
    return row;
  }

  std::mt19937_64 engine_;
  std::normal_distribution<double> normal_;
  std::uniform_real_distribution<double> uniform_;
  Noise noise_;
};

size_t count(const Comparison& comparison, Verdict verdict) {
  return static_cast<size_t>(std::count_if(comparison.pairs.begin(), comparison.pairs.end(),
                                           [verdict](const Pair& p) { return p.verdict == verdict; }));
}

TEST(Compare, TheSameBuildTwiceHardlyEverDiffers) {
  size_t pairs = 0, differ = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Machine machine(seed);
    report::Run before = machine.run(100), after = machine.run(100);
    const Comparison comparison = compare(before, after);
    pairs += comparison.pairs.size();
    differ += count(comparison, Verdict::faster) + count(comparison, Verdict::slower);
  }
  EXPECT_EQ(pairs, 2000u);
  EXPECT_LE(differ, 2u) << "of " << pairs;
}

struct Found {
  size_t slower = 0, confirmed = 0, wrong = 0;
};

/// In 20 comparisons of 100 cases each, of which 5 take 10 % longer; `runs` of each build.
Found found_of(const Noise& noise, int runs) {
  Found found;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Machine machine(seed, noise);
    std::vector<report::Run> old_runs, new_runs;
    for (int i = 0; i < runs; ++i) old_runs.push_back(machine.run(100)), new_runs.push_back(machine.run(100, 5, 1.10));
    report::Run before = joined(old_runs), after = joined(new_runs);
    for (const Pair& p : compare(before, after).pairs) {
      const bool changed = p.after->name < "case/5" && p.after->name.size() == 6;
      found.slower += changed && p.verdict == Verdict::slower;
      found.confirmed += is_confirmed_slowdown(p, 0.02);
      found.wrong += !changed && p.verdict != Verdict::same && p.verdict != Verdict::ambiguous;
    }
  }
  return found;
}

TEST(Compare, TenPercentMoreIsFoundByOneRunEachOnAQuietMachine) {
  const Found found = found_of({.stretch = 0.003, .run = 0.003}, 1);
  EXPECT_GE(found.slower, 95u) << "of 100";
  EXPECT_GE(found.confirmed, 90u) << "of 100, beyond 2 %";
  EXPECT_LE(found.wrong, 2u) << "of 1,900";
}

TEST(Compare, TenPercentMoreIsFoundByThreeRunsEachOnAnotherMachine) {
  const Found found = found_of({.stretch = 0.006, .run = 0.006}, 3);
  EXPECT_GE(found.slower, 95u) << "of 100";
  EXPECT_GE(found.confirmed, 90u) << "of 100, beyond 2 %";
  EXPECT_LE(found.wrong, 2u) << "of 1,900";
}

TEST(Compare, ASlowdownOfEverythingDoesNotHideItself) {
  Machine machine(7);
  report::Run before = machine.run(50), after = machine.run(50, 50, 1.10);
  EXPECT_GE(count(compare(before, after), Verdict::slower), 48u);
}

TEST(Compare, WhatGotFasterIsNotSlower) {
  Machine machine(8);
  report::Run before = machine.run(50), after = machine.run(50, 3, 0.8);
  const Comparison comparison = compare(before, after);
  EXPECT_EQ(count(comparison, Verdict::faster), 3u);
  EXPECT_EQ(count(comparison, Verdict::slower), 0u);
}

TEST(Compare, ADriftWithinOneStretchIsNoEvidence) {
  // 50 samples agree to 0.1 %, but they were all taken in a second in which the machine was 4 % slower.
  Noise noise{.sample = 0.001, .stretch = 0.04, .run = 0, .spikes = 0};
  Machine machine(9, noise);
  report::Run before = machine.run(200), after = machine.run(200);
  const Comparison comparison = compare(before, after);
  EXPECT_LE(count(comparison, Verdict::faster) + count(comparison, Verdict::slower), 2u);
}

TEST(Compare, NoiseThatTheRunsDoNotAdmitShowsInThePairs) {
  Machine machine(10, {.sample = 0.01, .stretch = 0.002, .run = 0.05});
  report::Run before = machine.run(200), after = machine.run(200);
  before.environment.noise_floor = after.environment.noise_floor = 0.001;
  const Comparison comparison = compare(before, after);
  EXPECT_NEAR(comparison.run_noise.at("cpu:0"), 0.05 * std::sqrt(2.0), 0.02);
  EXPECT_LE(count(comparison, Verdict::faster) + count(comparison, Verdict::slower), 2u);
}

TEST(Compare, WhereNothingTellsTheNoiseMuchIsAssumed) {
  Machine machine(19, {.stretch = 0.001, .run = 0.001});
  report::Run before = machine.run(3), after = machine.run(3, 1, 1.10);
  EXPECT_EQ(count(compare(before, after), Verdict::slower), 1u);
  before.environment.noise_floor.reset();
  const Comparison comparison = compare(before, after);
  EXPECT_EQ(comparison.run_noise.at("cpu:0"), kAssumedNoise);
  EXPECT_EQ(count(comparison, Verdict::slower), 0u);
}

TEST(Compare, ATimeOfZeroIsNotJudged) {
  Machine machine(20);
  report::Run before = machine.run(2), after = machine.run(2);
  after.rows[0].samples_ns.assign(21, 0.0), after.rows[0].median_ns = 0;
  const Comparison comparison = compare(before, after);
  EXPECT_EQ(comparison.pairs[0].verdict, Verdict::ambiguous);
  EXPECT_THAT(comparison.pairs[0].why, HasSubstr("clock"));
}

TEST(Compare, TooFewSamplesAreAmbiguous) {
  Machine machine(11);
  report::Run before = machine.run(1), after = machine.run(1, 1, 3);
  after.rows[0].samples_ns.resize(kFewestSamples - 1);
  after.rows[0].stretches.clear();
  const Comparison comparison = compare(before, after);
  EXPECT_EQ(comparison.pairs[0].verdict, Verdict::ambiguous);
  EXPECT_THAT(comparison.pairs[0].why, HasSubstr("samples"));
}

TEST(Compare, RepetitionsInOneFileAreOneCase) {
  Machine machine(12);
  report::Run before = machine.run(3), after = machine.run(3);
  const report::Run again = machine.run(3);
  after.rows.insert(after.rows.end(), again.rows.begin(), again.rows.end());
  const Comparison comparison = compare(before, after);
  ASSERT_EQ(comparison.pairs.size(), 3u);
  EXPECT_EQ(comparison.pairs[0].after->samples_ns.size(), 42u);
  EXPECT_EQ(comparison.pairs[0].after->stretches, (std::vector<int64_t>{21, 21})) << "a repetition is one stretch";
}

TEST(Compare, RowsOfABusyMachineAreNeverJudged) {
  Machine machine(17);
  report::Run before = machine.run(20), after = machine.run(20, 5, 2);
  for (size_t i = 0; i < 3; ++i) after.rows[i].quiet = false;
  const Comparison comparison = compare(before, after);
  EXPECT_EQ(count(comparison, Verdict::slower), 2u);
  EXPECT_THAT(comparison.pairs[0].why, HasSubstr("other programs"));
}

TEST(Compare, OfRepetitionsTheQuietOnesCount) {
  Machine machine(18);
  report::Run busy = machine.run(1, 1, 2), quiet = machine.run(1);
  busy.rows[0].quiet = false;
  for (const auto& runs : {std::vector{busy, quiet, quiet}, std::vector{quiet, busy, quiet}}) {
    const report::Run all = joined(runs);
    ASSERT_EQ(all.rows.size(), 1u);
    EXPECT_TRUE(all.rows[0].quiet);
    EXPECT_EQ(all.rows[0].stretches, (std::vector<int64_t>{21, 21}));
  }
}

TEST(Compare, ThreeRunsOfEachBuildSeeThroughOneThatWentWrong) {
  // One run in ten of a row takes twice as long from beginning to end, and nothing in it shows.
  size_t differ = 0;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    Machine machine(100 + seed);
    std::mt19937_64 engine(seed);
    const auto three = [&] {
      std::vector<report::Run> runs;
      for (int i = 0; i < 3; ++i) {
        runs.push_back(machine.run(60));
        for (Row& row : runs.back().rows) {
          const double factor = engine() % 10 == 0 ? 2 : 1;
          for (double& ns : row.samples_ns) ns *= factor;
        }
      }
      return joined(runs);
    };
    report::Run before = three(), after = three();
    const Comparison comparison = compare(before, after);
    differ += count(comparison, Verdict::faster) + count(comparison, Verdict::slower);
  }
  EXPECT_LE(differ, 6u) << "of 600, and in 30 of them two runs of three went wrong";
}

TEST(Compare, RowsWithoutATimeAreNamedNotJudged) {
  Machine machine(13);
  report::Run before = machine.run(3), after = machine.run(3);
  after.rows[1].status = Status::wrong, after.rows[1].median_ns.reset(), after.rows[1].samples_ns.clear();
  before.rows.erase(before.rows.begin());
  const Comparison comparison = compare(before, after);
  EXPECT_EQ(comparison.pairs.size(), 1u);
  ASSERT_EQ(comparison.vanished.size(), 1u);
  EXPECT_EQ(comparison.vanished[0]->name, "case/1");
  EXPECT_EQ(comparison.appeared.size(), 1u);
}

// ---- the command ----

struct Printed {
  int code;
  std::string out, err;
};

Printed run_command(const std::vector<std::string>& args) {
  std::ostringstream out, err;
  const int code = compare_main(args, out, err);
  return {code, out.str(), err.str()};
}

std::string file_of(const report::Run& run, const std::string& name) {
  const std::string path = testing::TempDir() + "report_" + name;
  std::ofstream(path) << to_json(run);
  return path;
}

TEST(CompareCommand, ExitCodeIsOneOnlyForAConfirmedSlowdownBeyondTheLimit) {
  Machine machine(14);
  const std::string before = file_of(machine.run(30), "before.json");
  const std::string same = file_of(machine.run(30), "same.json");
  const std::string slow = file_of(machine.run(30, 2, 1.15), "slow.json");
  EXPECT_EQ(run_command({before, same, "--fail-on", "1%"}).code, 0);
  EXPECT_EQ(run_command({before, slow, "--fail-on", "5%"}).code, 1);
  EXPECT_EQ(run_command({before, slow, "--fail-on=0.05"}).code, 1);
  EXPECT_EQ(run_command({before, slow, "--fail-on", "14%"}).code, 0) << "15 % is not confirmed to be beyond 14 %";
  EXPECT_EQ(run_command({before, slow}).code, 0) << "nothing fails unless it was asked to";
  EXPECT_EQ(run_command({slow, before, "--fail-on", "5%"}).code, 0) << "faster never fails";
}

TEST(CompareCommand, NamesWhatIsSlowerAndHowToMeasureTheAmbiguousAgain) {
  Machine machine(15, {.sample = 0.2});
  report::Run before = machine.run(10), after = machine.run(10, 1, 5);
  const Printed printed = run_command({file_of(before, "a.json"), file_of(after, "b.json")});
  EXPECT_THAT(printed.out, HasSubstr("1 slower"));
  EXPECT_THAT(printed.out, HasSubstr("case/0"));
  EXPECT_THAT(printed.out, HasSubstr("  backplane bench --ops case/3\n"));
  EXPECT_THAT(printed.out, HasSubstr("geometric mean"));
}

TEST(CompareCommand, OtherMachinesAreNotTakenForOtherBuilds) {
  Machine machine(16);
  report::Run before = machine.run(3), after = machine.run(3);
  before.environment.cpu_model = "Example 1", after.environment.cpu_model = "Example 2";
  EXPECT_THAT(run_command({file_of(before, "a.json"), file_of(after, "b.json")}).out,
              HasSubstr("differ in more than the code: processor: Example 1 and Example 2"));
}

TEST(CompareCommand, ArgumentsWithoutSense) {
  EXPECT_EQ(run_command({}).code, 2);
  EXPECT_EQ(run_command({"a", "b", "c"}).code, 2);
  EXPECT_EQ(run_command({"a", "b", "--fail-on"}).code, 2);
  for (const char* share : {"fast", "-5%", "5 %", "5%%", "", "nan"})
    EXPECT_EQ(run_command({"a", "b", "--fail-on", share}).code, 2) << share;
  EXPECT_THAT(run_command({"a", "b", "--quick"}).err, HasSubstr("no option '--quick'"));
  EXPECT_EQ(run_command({"/nowhere/a", "/nowhere/b"}).code, 4);
  EXPECT_THAT(run_command({"--help"}).out, HasSubstr("--fail-on"));
}

}  // namespace

}  // namespace backplane::bench::report
