// SPDX-License-Identifier: Apache-2.0
// `backplane bench ab` from the outside: this build against itself, on a device whose time is declared
// (tests/plugins/virtual_clock), where the second one makes a row slower.
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "cli/process.h"
#include "report/paired.h"
#include "report/results_json.h"

namespace backplane::tests {
namespace {

using bench::report::Verdict;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

const std::string kBuild = BACKPLANE_BUILD;

class Ab : public ::testing::Test {
 protected:
  Ab() { fs::remove_all(folder); }
  ~Ab() override { fs::remove_all(folder); }
  Result ab(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"bench", "ab", "--devices", "virtual_clock:0", "--output", folder.string()});
    RunOptions options;
    options.environment = {{"BACKPLANE_PLUGIN_PATH", BACKPLANE_VIRTUAL_CLOCK}};
    return run_backplane(arguments, options);
  }
  const fs::path folder = fs::temp_directory_path() / ("backplane-ab-" + std::to_string(getpid()));
};

TEST_F(Ab, FindsTheRowThatTheSecondBuildMakesSlower) {
  const Result result =
      ab({"--a", kBuild, "--b", kBuild, "--case", "batch_matmul name=matmul in=MxK,KxN M=4,8 N=8 K=16", "--rounds", "6",
          "--slice", "1s", "--slow-b", "M=8=1.1"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("6 rounds"));
  EXPECT_THAT(result.out, HasSubstr("virtual_clock:0"));
  std::vector<bench::report::Run> before, after;
  for (int round = 1; round <= 6; ++round) {
    for (const auto& [side, runs] : {std::pair{"a", &before}, {"b", &after}}) {
      runs->push_back(bench::report::read_run((folder / (side + std::to_string(round)) / "results.json").string()));
      // A declared clock takes no notice of the other programs of this machine.
      for (bench::report::Row& row : runs->back().rows) row.quiet = true;
    }
  }
  std::map<std::string, Verdict> verdicts;
  for (const bench::report::Pair& pair : bench::report::compare_paired(before, after).pairs)
    verdicts[pair.after->name] = pair.verdict;
  EXPECT_EQ(verdicts.size(), 2u);
  EXPECT_EQ(verdicts["matmul/M=8,N=8,K=16"], Verdict::slower) << result.out;
  EXPECT_EQ(verdicts["matmul/M=4,N=8,K=16"], Verdict::same) << result.out;
}

TEST_F(Ab, MistakesAreUsageErrors) {
  const Result nowhere = ab({"--a", "/nowhere", "--b", kBuild});
  EXPECT_EQ(nowhere.code, 2);
  EXPECT_THAT(nowhere.err, HasSubstr("/nowhere/bin/backplane-bench does not exist; build target backplane_bench"));
  EXPECT_EQ(ab({"--a", kBuild}).code, 2) << "the second build is missing";
  EXPECT_EQ(ab({"--a", kBuild, "--b", kBuild, "--filter", "matmul"}).code, 2);
}

TEST_F(Ab, ARunThatFailsEndsIt) {
  const Result result = ab({"--a", kBuild, "--b", kBuild, "--suite", "no-such-suite"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("failed / see " + (folder / "a0.log").string()));
  EXPECT_GT(fs::file_size(folder / "a0.log"), 0u);
}

}  // namespace
}  // namespace backplane::tests
