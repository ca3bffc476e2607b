// SPDX-License-Identifier: Apache-2.0
// Several sweeps on one page: which rows, devices and facts stand.
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "report/contents.h"
#include "report/merge.h"
#include "report/reports.h"
#include "report/results_json.h"

namespace backplane::bench::report {

namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;

Row row_of(const std::string& device, double ns, Status status = Status::measured) {
  Row row;
  row.name = "matmul/8x8x8", row.suite = "ops", row.op = "matmul", row.dtype = "f32", row.device = device;
  row.status = status;
  if (status == Status::measured) row.median_ns = ns;
  else row.reason = "the budget was used up";
  return row;
}

report::Run run_of(const std::string& started, const std::string& device, double ns) {
  report::Run run;
  run.started = started, run.command_line = "backplane bench --devices " + device;
  run.environment.cpu_model = "Example CPU", run.environment.noise_floor = 0.02;
  run.devices = {{device, "cpu", "1", "a device", "cpu", "x", "driver 1", ""}};
  run.ceilings = {{device, "f32", CeilingKind::fma, 0, ns, "GFLOP/s", {}}};
  run.rows = {row_of(device, ns)};
  return run;
}

TEST(Combined, DevicesStandSideBySide) {
  const report::Run run = combined({run_of("2026-02", "cpu:0", 1), run_of("2026-01", "opencl:0", 2)});
  ASSERT_EQ(run.devices.size(), 2u);
  EXPECT_EQ(run.devices[0].id, "cpu:0") << "as they were named";
  EXPECT_EQ(run.rows.size(), 2u);
  EXPECT_EQ(run.ceilings.size(), 2u);
  EXPECT_EQ(run.started, "2026-02");
  ASSERT_EQ(run.parts.size(), 2u);
  EXPECT_EQ(run.parts[0].command_line, "backplane bench --devices opencl:0") << "the oldest first";
}

TEST(Combined, TheNewerOfTwoEqualRowsStands) {
  const report::Run run = combined({run_of("2026-02", "cpu:0", 5), run_of("2026-01", "cpu:0", 7)});
  ASSERT_EQ(run.rows.size(), 1u);
  EXPECT_EQ(run.rows[0].median_ns, 5);
  ASSERT_EQ(run.ceilings.size(), 1u);
  EXPECT_EQ(run.ceilings[0].value, 5);
}

TEST(Combined, ATimeIsNotReplacedByNone) {
  report::Run newer = run_of("2026-02", "cpu:0", 5);
  newer.rows = {row_of("cpu:0", 0, Status::skipped)};
  EXPECT_EQ(combined({run_of("2026-01", "cpu:0", 7), newer}).rows[0].median_ns, 7);
  newer.rows = {row_of("cpu:0", 0, Status::wrong)};
  EXPECT_EQ(combined({run_of("2026-01", "cpu:0", 7), newer}).rows[0].status, Status::wrong);
}

TEST(Combined, NamesakesOfAnotherMachineAreOtherDevices) {
  report::Run other = run_of("2026-02", "cpu:0", 5);
  other.environment.cpu_model = "Other CPU";
  const report::Run run = combined({run_of("2026-01", "cpu:0", 7), other});
  ASSERT_EQ(run.devices.size(), 2u);
  EXPECT_EQ(run.devices[1].id, "cpu:0 (2)");
  EXPECT_EQ(run.rows[1].device, "cpu:0 (2)");
  EXPECT_EQ(run.ceilings[1].device, "cpu:0 (2)");
  std::vector<std::string> differing;
  for (const Column& each : parts_table(run).columns) differing.push_back(each.heading);
  EXPECT_THAT(differing, ElementsAre("started", "processor"));
  for (const auto& [label, text] : facts(run)) EXPECT_THAT(text, Not(HasSubstr("Other CPU"))) << label;
}

TEST(Combined, TheNoiseIsThatOfTheWorst) {
  report::Run noisy = run_of("2026-01", "opencl:0", 5);
  noisy.environment.noise_floor = 0.2;
  EXPECT_EQ(combined({noisy, run_of("2026-02", "cpu:0", 7)}).environment.noise_floor, 0.2);
}

TEST(Combined, IsReadBackAndCombinedAgain) {
  const report::Run two = combined({run_of("2026-01", "cpu:0", 7), run_of("2026-02", "opencl:0", 5)});
  EXPECT_EQ(parse_run(to_json(two), "test"), two);
  const report::Run three = combined({two, run_of("2026-03", "vulkan:0", 9)});
  EXPECT_EQ(three.parts.size(), 3u);
  EXPECT_EQ(three.devices.size(), 3u);
}

class ReportCommand : public testing::Test {
 protected:
  ReportCommand() { fs::create_directories(folder); }
  ~ReportCommand() override { fs::remove_all(folder); }
  std::string file(const std::string& name, const std::string& text) const {
    std::ofstream(folder / name) << text;
    return (folder / name).string();
  }
  const fs::path folder = fs::temp_directory_path() / ("backplane-report-" + std::to_string(getpid()));
  std::ostringstream out, err;
};

TEST_F(ReportCommand, WritesOnePageOfSeveralFiles) {
  const std::string a = file("a.json", to_json(run_of("2026-01", "cpu:0", 7)));
  const report::Run other = run_of("2026-02", "opencl:0", 5);
  const std::string b = file("b.jsonl", jsonl_header(other) + jsonl_row(other.rows[0]));
  const fs::path page = folder / "page";
  EXPECT_EQ(report_main({a, b, "--output", page.string()}, out, err), 0) << err.str();
  EXPECT_EQ(read_run((page / "results.json").string()).rows.size(), 2u);
  for (const char* name : {"results.html", "results.md", "results.csv"}) EXPECT_GT(fs::file_size(page / name), 100u);
}

TEST_F(ReportCommand, SaysWhatIsWrong) {
  EXPECT_EQ(report_main({}, out, err), 2);
  EXPECT_EQ(report_main({"--colour"}, out, err), 2);
  EXPECT_EQ(report_main({"/nowhere.json"}, out, err), 4);
  EXPECT_EQ(report_main({file("a.json", "no results")}, out, err), 4);
  const std::string results = file("b.json", to_json(run_of("2026-01", "cpu:0", 7)));
  EXPECT_EQ(report_main({results, "--output", file("taken", "")}, out, err), 4);
  EXPECT_THAT(err.str(), HasSubstr("cannot write"));
}

}  // namespace

}  // namespace backplane::bench::report
