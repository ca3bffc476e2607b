// SPDX-License-Identifier: Apache-2.0
// What must hold for every page, whatever it shows. How it looks is for eyes: open golden/page.html in a browser.
#include <gmock/gmock.h>

#include <regex>

#include "report/made_up_run.h"
#include "report/page/svg.h"
#include "report/reports.h"

namespace backplane::bench::report {

namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Page, NeedsNoNetworkAndNoScript) {
  const std::string page = html(made_up_run());
  for (const char* word :
       {"<script", "http:", "https:", "//", "@import", "url(", "<link", "<img", "<iframe", "onload", "onclick"})
    EXPECT_THAT(page, Not(HasSubstr(word)));
}

TEST(Page, StaysBelowTwoMegabytes) {
  const std::string page = html(made_up_run_of(5000));
  EXPECT_LT(page.size(), 2'000'000u);
  EXPECT_THAT(page, Not(HasSubstr("more rows are in the JSON file"))) << "5,000 rows are listed in full";
  const std::string larger = html(made_up_run_of(12'000));
  EXPECT_LT(larger.size(), 4'000'000u);
  EXPECT_THAT(larger, HasSubstr("more rows are in the JSON file"));
}

TEST(Page, TagsAreClosedInOrder) {
  // End tags that HTML lets be absent are absent only in the list of rows.
  std::string page = html(made_up_run());
  page = std::regex_replace(page, std::regex("<details>[^]*?</details>"), "");
  std::vector<std::string> open;
  const std::regex tag("<(/?)([a-z0-9]+)([^>]*)>");
  for (std::sregex_iterator at(page.begin(), page.end(), tag), end; at != end; ++at) {
    const std::string name = (*at)[2], rest = (*at)[3];
    if (name == "meta" || rest.ends_with("/")) continue;
    if ((*at)[1].length() == 0) {
      open.push_back(name);
      continue;
    }
    ASSERT_FALSE(open.empty()) << name;
    ASSERT_EQ(open.back(), name) << "near " << page.substr(static_cast<size_t>(at->position()), 80);
    open.pop_back();
  }
  EXPECT_TRUE(open.empty()) << open.back();
}

TEST(Page, NothingThatWasMeasuredCanBreakOutOfItsText) {
  report::Run run = made_up_run();
  for (Row& row : run.rows)
    row.variant += "<b onload=\"x\">&", row.name = "<i>" + row.name, row.reason = "</td><script>";
  run.environment.cpu_model = "<script>";
  const std::string page = html(run);
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, Not(HasSubstr("<i>m")));
  EXPECT_THAT(page, HasSubstr("&lt;i&gt;matmul"));
}

TEST(Page, ARunWithoutRowsOrDevicesIsStillAPage) {
  EXPECT_THAT(html(report::Run{}), HasSubstr("Backplane bench"));
  report::Run run;
  Row& row = run.rows.emplace_back();
  row.name = row.op = "matmul", row.device = "cpu:0", row.status = Status::measured, row.median_ns = 0.0;
  EXPECT_THAT(html(run), HasSubstr("matmul"));
}

TEST(Page, FiguresAreNeverNan) {
  report::Run zeros = made_up_run();
  for (Row& row : zeros.rows) {
    if (row.median_ns) row.median_ns = 0, row.p10_ns = 0, row.flops = 0, row.to_default = Ratio{0, {0, 0}};
    row.roofline_share.reset();
  }
  for (Ceiling& ceiling : zeros.ceilings) ceiling.value = 0;
  for (const report::Run& run : {made_up_run(), report::Run{}, zeros}) {
    const std::string page = html(run);
    for (const char* word : {"nan\"", "inf\"", "nan,", "inf,", ">nan", ">inf", ">-inf"})
      EXPECT_THAT(page, Not(HasSubstr(word)));
  }
}

TEST(Page, DashesForWhatNobodyMeasured) {
  report::Run run = made_up_run();
  run.rows.resize(20);
  for (Row& row : run.rows) row.status = Status::unmeasured, row.median_ns.reset(), row.error.reset();
  const std::string page = html(run);
  EXPECT_THAT(page, HasSubstr("—"));
  EXPECT_THAT(page, Not(HasSubstr("✓")));
}

TEST(Axis, TicksAreRoundAndInside) {
  const page::LogAxis axis(30, 4000, 0, 100);
  EXPECT_EQ(axis.ticks(), (std::vector<double>{100, 1000}));
  EXPECT_NEAR(page::LogAxis(1, 100, 0, 100, 0).at(10), 50, 1e-9);
}

}  // namespace

}  // namespace backplane::bench::report
