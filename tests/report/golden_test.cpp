// SPDX-License-Identifier: Apache-2.0
// Every report of the made-up run is what it was, letter for letter. UPDATE_GOLDEN=1 writes the files anew.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "report/made_up_run.h"
#include "report/reports.h"
#include "report/results_json.h"

namespace backplane::bench::report {

namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// The first line that differs, with its neighbours' numbers; whole pages in a message help nobody.
std::string difference(const std::string& is, const std::string& was) {
  const std::vector<std::string> a = lines_of(is), b = lines_of(was);
  size_t i = 0;
  while (i < std::min(a.size(), b.size()) && a[i] == b[i]) ++i;
  const auto line = [i](const std::vector<std::string>& of) { return i < of.size() ? of[i] : "(the end)"; };
  return "line " + std::to_string(i + 1) + " of " + std::to_string(a.size()) + ", golden has " +
         std::to_string(b.size()) + "\n  is:     " + line(a) + "\n  golden: " + line(b) +
         "\nIf the new one is right: UPDATE_GOLDEN=1 report_test --gtest_filter=Golden*, and look at `git diff`.";
}

void expect_golden(const std::string& text, const std::string& name) {
  const std::string path = std::string(REPORT_GOLDEN) + "/" + name;
  if (std::getenv("UPDATE_GOLDEN")) {
    std::ofstream(path, std::ios::binary) << text;
    return;
  }
  std::ifstream file(path, std::ios::binary);
  std::ostringstream golden;
  ASSERT_TRUE(file && golden << file.rdbuf()) << path << " cannot be read";
  EXPECT_TRUE(text == golden.str()) << name << ", " << difference(text, golden.str());
}

TEST(Golden, Terminal) { expect_golden(terminal(made_up_run()), "terminal.txt"); }
TEST(Golden, Csv) { expect_golden(csv(made_up_run()), "rows.csv"); }
TEST(Golden, Html) { expect_golden(html(made_up_run()), "page.html"); }
TEST(Golden, Markdown) { expect_golden(markdown(made_up_run()), "page.md"); }

}  // namespace

}  // namespace backplane::bench::report
