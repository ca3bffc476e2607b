// SPDX-License-Identifier: Apache-2.0
// A kernel that became slower is found: three sweeps over devices whose times are declared
// (tests/plugins/virtual_clock), each with noise of its own; in the third all defaults take 10 % longer.
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "cli/process.h"
#include "report/compare.h"
#include "report/results_json.h"

namespace backplane::tests {

namespace {

using bench::report::Choice;
using bench::report::Comparison;
using bench::report::Pair;
using bench::report::Verdict;
namespace fs = std::filesystem;

class Slowdown : public ::testing::Test {
 protected:
  Slowdown() { fs::remove_all(folder); }
  ~Slowdown() override { fs::remove_all(folder); }

  /// Six products on two devices; returns the file of results.
  std::string sweep(const std::string& name, const std::string& seed, const std::string& slowdown) {
    RunOptions options;
    options.environment = {{"BACKPLANE_PLUGIN_PATH", BACKPLANE_VIRTUAL_CLOCK},
                           {"BACKPLANE_VIRTUAL_CLOCK_SEED", seed},
                           {"BACKPLANE_VIRTUAL_CLOCK_SLOWDOWN", slowdown}};
    const Result result = run_backplane(
        {"bench", "--case", "batch_matmul name=matmul in=MxK,KxN M=4,8,16 N=4,8 K=8", "--variants", "default",
         "--devices", "virtual_clock:1,virtual_clock:2", "--no-ceilings", "--budget", "12s", "--output", folder / name},
        options);
    EXPECT_EQ(result.code, 0) << result.err;
    const std::string file = folder / name / "results.json";
    // A declared clock takes no notice of the other programs of this machine.
    bench::report::Run run = bench::report::read_run(file);
    for (bench::report::Row& row : run.rows) row.quiet = true;
    std::ofstream(file) << bench::report::to_json(run);
    return file;
  }
  const fs::path folder = fs::temp_directory_path() / ("backplane-slowdown-" + std::to_string(getpid()));
};

TEST_F(Slowdown, OfTenPercentIsFoundAndNothingElse) {
  const std::string before = sweep("before", "1000", "1"), again = sweep("again", "2000", "1");
  const std::string slower = sweep("slower", "3000", "1.1");

  const Result same = run_backplane({"bench", "compare", before, again, "--fail-on", "5%"});
  EXPECT_EQ(same.code, 0) << same.out;
  const Result found = run_backplane({"bench", "compare", before, slower, "--fail-on", "5%"});
  EXPECT_EQ(found.code, 1) << found.out;

  bench::report::Run a = bench::report::read_run(before), b = bench::report::read_run(slower);
  const Comparison comparison = bench::report::compare(a, b);
  ASSERT_EQ(comparison.pairs.size(), 12u);
  size_t slow = 0;
  for (const Pair& pair : comparison.pairs) {
    EXPECT_NE(pair.verdict, Verdict::faster) << pair.after->name;
    EXPECT_NE(pair.verdict, Verdict::same) << pair.after->name;
    slow += pair.verdict == Verdict::slower;
  }
  EXPECT_GE(slow, 11u) << found.out;
}

}  // namespace

}  // namespace backplane::tests
