// SPDX-License-Identifier: Apache-2.0
// `backplane bench` from the outside, on devices whose time is declared (tests/plugins/virtual_clock) or that fail. No
// time is asserted.
#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "cli/process.h"
#include "report/results_json.h"

namespace backplane::tests {
namespace {

using bench::report::Choice;
using bench::report::Row;
using bench::report::Status;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

class Sweep : public ::testing::Test {
 protected:
  Sweep() { fs::remove_all(folder); }
  ~Sweep() override { fs::remove_all(folder); }
  Result bench(std::vector<std::string> arguments, RunOptions options = {}) {
    arguments.insert(arguments.begin(), "bench");
    arguments.insert(arguments.end(), {"--output", folder.string()});
    return run(arguments, std::move(options));
  }
  Result run(const std::vector<std::string>& arguments, RunOptions options = {}) {
    options.environment.insert({"BACKPLANE_PLUGIN_PATH", BACKPLANE_VIRTUAL_CLOCK});
    return run_backplane(arguments, options);
  }
  bench::report::Run results() const { return bench::report::read_run((folder / "results.json").string()); }
  Row find(const std::string& device, const std::string& name, Choice choice) const {
    for (const Row& row : results().rows) {
      if (row.device == device && row.name == name && row.choice == choice) return row;
    }
    ADD_FAILURE() << "no row " << device << " " << name;
    return {};
  }
  const fs::path folder = fs::temp_directory_path() / ("backplane-sweep-" + std::to_string(getpid()));
  const std::string small = "batch_matmul name=matmul in=MxK,KxN M=8 N=8 K=16";
  const std::string other = "batch_matmul name=matmul in=MxK,KxN M=4 N=8 K=16";
};

TEST_F(Sweep, MeasuresChecksAndReports) {
  const Result result = bench(
      {"--case", small, "--case", "softmax in=4x8", "--devices", "virtual_clock:0,reference", "--variants", "all", "--budget", "20s"});
  ASSERT_EQ(result.code, 0) << result.err;
  for (const char* name : {"results.json", "results.jsonl", "results.csv", "results.md", "results.html"})
    EXPECT_GT(fs::file_size(folder / name), 100u) << name;
  const bench::report::Run run = results();
  EXPECT_FALSE(run.ceilings.empty());
  EXPECT_NE(run.environment.commit, "");
  const Row usual = find("virtual_clock:0", "matmul/M=8,N=8,K=16", Choice::default_);
  EXPECT_EQ(usual.status, Status::measured) << usual.reason;
  EXPECT_EQ(usual.clock, bench::report::Clock::device);
  EXPECT_TRUE(usual.median_ns && usual.host_median_ns && usual.error && usual.allowed && usual.compile_ns);
  EXPECT_LE(*usual.error, *usual.allowed);
  EXPECT_FALSE(usual.samples_ns.empty());
  const Row tuned = find("virtual_clock:0", "matmul/M=8,N=8,K=16", Choice::tuned);
  EXPECT_LE(*tuned.median_ns, *usual.median_ns * 1.001) << "the declared times know no noise";
  const Row refused = find("virtual_clock:0", "softmax/4x8", Choice::default_);
  EXPECT_EQ(refused.status, Status::refused);
}

TEST_F(Sweep, TheCommandOfARowMeasuresThatRow) {
  ASSERT_EQ(bench({"--case", small, "--devices", "virtual_clock:0", "--variants", "all", "--no-ceilings"}).code, 0);
  Row variant;
  for (const Row& row : results().rows) {
    if (row.choice == Choice::variant && row.status == Status::measured) variant = row;
  }
  ASSERT_NE(variant.command, "");
  const std::string list =
      "set -- " + variant.command.substr(std::string("backplane ").size()) + "; printf '%s\\n' \"$@\"";
  std::vector<std::string> arguments;
  std::FILE* words = popen(list.c_str(), "r");
  ASSERT_NE(words, nullptr);
  for (char line[1024]; std::fgets(line, sizeof line, words) != nullptr;)
    arguments.emplace_back(line, std::string_view(line).size() - 1);
  pclose(words);
  arguments.insert(arguments.end(), {"--output", folder.string(), "--no-ceilings"});
  ASSERT_EQ(run(arguments).code, 0);
  ASSERT_EQ(results().rows.size(), 1u);
  EXPECT_EQ(identity(results().rows[0]), identity(variant));
  EXPECT_EQ(results().rows[0].status, Status::measured);
}

TEST_F(Sweep, ADeviceThatIsLostEndsItsOwnRows) {
  const Result result = bench({"--case", small, "--case", other, "--devices",
                               "virtual_clock:id=fault-loses-the-device,virtual_clock:0", "--no-ceilings"});
  ASSERT_EQ(result.code, 0) << result.err;
  int lost = 0, measured = 0;
  for (const Row& row : results().rows) {
    if (row.device == "virtual_clock:0") {
      EXPECT_EQ(row.status, Status::measured) << row.reason;
      ++measured;
    } else {
      EXPECT_EQ(row.status, Status::lost);
      EXPECT_THAT(row.reason, HasSubstr("lost"));
      ++lost;
    }
  }
  EXPECT_EQ(measured, 4);
  EXPECT_EQ(lost, 4);
  const bench::report::Run run = results();
  EXPECT_TRUE(std::ranges::any_of(run.devices, [](const auto& device) { return !device.lost.empty(); }));
}

/// Rows of a device with a variant that takes down or blocks the process, and of one without.
class DeadlySweep : public Sweep, public ::testing::WithParamInterface<std::pair<const char*, const char*>> {};

TEST_P(DeadlySweep, EndsOneRowAndGoesOn) {
  const auto& [fault, reason] = GetParam();
  const std::string devices = "virtual_clock:id=fault-" + std::string(fault) + ",virtual_clock:0";
  const Result result = bench({"--case", small, "--case", other, "--variants", "all", "--no-ceilings", "--limit", "4s",
                               "--budget", "40s", "--devices", devices});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("going on without it"));
  int deadly = 0, measured = 0;
  for (const Row& row : results().rows) {
    if (row.variant == fault) {
      EXPECT_EQ(row.status, Status::failed);
      EXPECT_THAT(row.reason, HasSubstr(reason));
      EXPECT_FALSE(row.median_ns);
      ++deadly;
    } else {
      EXPECT_EQ(row.status, Status::measured) << identity(row) << ": " << row.reason;
      ++measured;
    }
  }
  EXPECT_EQ(deadly, 2) << "one for each case";
  EXPECT_GE(measured, 10) << "the default, the choice and the others of both devices";
}
INSTANTIATE_TEST_SUITE_P(All, DeadlySweep,
                         ::testing::Values(std::pair("dies-when-checked", "crashed: SIGABRT"),
                                           std::pair("dies-in-the-race", "crashed: "),
                                           std::pair("blocks-when-checked", "hung: no end within 4 s")));

TEST_F(Sweep, ProgramsRunBesideOps) {
  const Result result = bench({"--case", "enqueue", "--case", "train model=logistic mode=compiled N=2", "--case",
                               "to_device B=4096", "--devices", "reference", "--no-ceilings"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(find("null:0", "enqueue", Choice::default_).status, Status::measured)
      << "what the host costs is measured on a device that costs nothing";
  const Row step = find("reference:0", "train/model=logistic,mode=compiled,N=2", Choice::default_);
  EXPECT_EQ(step.status, Status::measured) << step.reason;
  EXPECT_TRUE(step.error && *step.error <= *step.allowed);
  EXPECT_EQ(find("reference:0", "to_device/B=4096", Choice::default_).error, 0);
}

TEST_F(Sweep, ResumesWhatIsMissing) {
  ASSERT_EQ(bench({"--case", small, "--devices", "virtual_clock:0", "--no-ceilings"}).code, 0);
  const double before = *find("virtual_clock:0", "matmul/M=8,N=8,K=16", Choice::default_).median_ns;
  const Result result =
      bench({"--case", small, "--case", other, "--devices", "virtual_clock:0", "--no-ceilings", "--resume"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.err, Not(HasSubstr("matmul/M=8,N=8"))) << "it is not measured again";
  EXPECT_THAT(result.err, HasSubstr("matmul/M=4,N=8"));
  EXPECT_EQ(*find("virtual_clock:0", "matmul/M=8,N=8,K=16", Choice::default_).median_ns, before);
  EXPECT_EQ(results().rows.size(), 4u);
  EXPECT_EQ(bench({"--case", small, "--devices", "virtual_clock:0", "--resume"}).code, 0) << "all is there";
  std::string text;
  {
    std::ifstream file(folder / "results.jsonl");
    text.assign(std::istreambuf_iterator<char>(file), {});
  }
  size_t commit = text.find("\"commit\":\"");
  ASSERT_NE(commit, std::string::npos);
  for (; commit != std::string::npos; commit = text.find("\"commit\":\"", commit + 10)) text.insert(commit + 10, "x");
  std::ofstream(folder / "results.jsonl") << text;
  const Result refused = bench({"--case", small, "--devices", "virtual_clock:0", "--resume"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.err, HasSubstr("another commit"));
}

TEST_F(Sweep, WhatHasNoTimeLeftSaysSo) {
  const Result result =
      bench({"--case", small, "--devices", "virtual_clock:0", "--no-ceilings", "--budget", "0.000001s"});
  ASSERT_EQ(result.code, 0) << result.err;
  for (const Row& row : results().rows) {
    EXPECT_EQ(row.status, Status::skipped);
    EXPECT_THAT(row.reason, HasSubstr("budget"));
  }
}

TEST_F(Sweep, AnInterruptEndsItWithWhatItHas) {
  RunOptions options;
  options.interrupt_after = std::chrono::milliseconds(500);
  options.terminal = true;  // then there is progress to wait for
  const Result result = bench({"--suite", "smoke", "--devices", "virtual_clock:0", "--no-ceilings"}, options);
  EXPECT_EQ(result.code, 130) << result.out;
  EXPECT_TRUE(std::ranges::any_of(results().rows, [](const Row& row) { return row.reason == "interrupted"; }));
}

TEST_F(Sweep, MistakesAreUsageErrors) {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"--suite", "smoky"}, {"--case", "matmull in=2x2,2x2"}, {"--shapes", "64"},
           {"--budget", "soon"}, {"--limit", "0.1s"}, {"--no-such-option"}, {"--filter", "never matches", "--devices", "virtual_clock:0"},
           {"--filter", "(", "--devices", "virtual_clock:0"}}) {
    const Result result = bench(arguments);
    EXPECT_EQ(result.code, 2) << arguments[0] << ": " << result.err;
    EXPECT_NE(result.err, "");
  }
  EXPECT_THAT(bench({"--suite", "smoky"}).err, HasSubstr("smoke"));
  EXPECT_EQ(bench({"--devices", "cpu:999"}).code, 3);
}

TEST_F(Sweep, AFolderThatCannotBeWrittenIsAFileError) {
  EXPECT_EQ(run({"bench", "--case", small, "--devices", "virtual_clock:0", "--output", "/proc/nowhere"}).code, 4);
}

TEST_F(Sweep, ListsWithoutMeasuring) {
  const Result result = bench({"--suite", "smoke", "--devices", "virtual_clock:0", "--list"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("matmul/M=128,N=128,K=128 f32 virtual_clock:0 tuned"));
  EXPECT_FALSE(fs::exists(folder));
}

TEST_F(Sweep, HelpIsItsOwn) {
  const Result result = run({"bench", "--help"});
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.out, HasSubstr("--variants"));
}

}  // namespace
}  // namespace backplane::tests
