// SPDX-License-Identifier: Apache-2.0
// What --resume believes: finished rows of the same build and machine, and nothing else.
#include "journal.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>

#include "backplane/graph/types.h"
#include "cli/command.h"

namespace backplane::bench {
namespace {

using report::Row;
using report::Status;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

Row row(const std::string& name, Status status) {
  Row r;
  r.name = name, r.dtype = "f32", r.device = "cpu:0", r.status = status;
  if (status == Status::measured) r.median_ns = 5;
  return r;
}

report::Run run_of(const std::string& commit) {
  report::Run run;
  run.environment.commit = commit;
  run.devices.push_back({"cpu:0", "cpu", "build 1", "a processor", "cpu", "x86-64", "driver 1", ""});
  return run;
}

class JournalTest : public ::testing::Test {
 protected:
  JournalTest() { fs::remove_all(folder); }
  ~JournalTest() override { fs::remove_all(folder); }
  void write_some() {
    Journal journal(folder, false);
    report::Run run = run_of("abc");
    run.ceilings.push_back({"cpu:0", "f32", report::CeilingKind::matrix, 0, 200, "GFLOP/s", {}});
    journal.header(run);
    journal.row(row("done", Status::measured));
    journal.row(row("refused", Status::refused));
    journal.row(row("no time", Status::skipped));
    journal.row(row("lost", Status::lost));
  }
  const fs::path folder = fs::temp_directory_path() / ("backplane-journal-" + std::to_string(getpid()));
};

TEST_F(JournalTest, TakesOverWhatIsFinished) {
  write_some();
  std::ofstream(folder / "results.jsonl", std::ios::app) << "{\"row\": {\"name\": \"cut o";  // killed while it wrote
  Journal journal(folder, true);
  report::Run run = run_of("abc");
  journal.resume(run);
  EXPECT_EQ(run.rows.size(), 2u);
  EXPECT_EQ(run.ceilings.size(), 1u);
  EXPECT_TRUE(journal.has(row("done", Status::unmeasured)));
  EXPECT_TRUE(journal.has(row("refused", Status::unmeasured)));
  EXPECT_FALSE(journal.has(row("no time", Status::unmeasured))) << "it is to be tried again";
  EXPECT_FALSE(journal.has(row("lost", Status::unmeasured)));
}

TEST_F(JournalTest, RefusesResultsOfAnotherBuildOrDriver) {
  write_some();
  Journal journal(folder, true);
  report::Run other_commit = run_of("def"), other_driver = run_of("abc");
  other_driver.devices[0].driver = "driver 2";
  for (report::Run* run : {&other_commit, &other_driver}) {
    try {
      journal.resume(*run);
      FAIL() << "it was taken over";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("is of another"));
    }
  }
}

TEST_F(JournalTest, BeginsAnewWithoutResume) {
  write_some();
  { const Journal journal(folder, false); }
  EXPECT_EQ(fs::file_size(folder / "results.jsonl"), 0u);
  Journal journal(folder, true);
  report::Run run = run_of("def");
  EXPECT_NO_THROW(journal.resume(run)) << "an empty file is of no build";
}

TEST_F(JournalTest, SaysWhereItCannotWrite) { EXPECT_THROW(Journal("/proc/nowhere", false), cli::CommandError); }

}  // namespace
}  // namespace backplane::bench
