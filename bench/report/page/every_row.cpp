// SPDX-License-Identifier: Apache-2.0
// The list of all rows, with the command that measures each again.
#include <fmt/format.h>

#include "report/page/sections.h"
#include "report/page/svg.h"
#include "report/words.h"

namespace backplane::bench::report::page {

namespace {

/// The page is to stay below 2 MB; what does not fit is in the JSON file, and the page says so.
constexpr size_t kMostBytes = 1'250'000;

/// HTML lets the end tags of cells and rows be absent, and the style sheet knows the columns: over thousands of rows
/// that is a third of the page.
std::string line(const Row& row) {
  const bool timed = row.status == Status::measured;
  return fmt::format("<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}\n", escaped(row.name),
                     escaped(row.dtype), escaped(row.device), escaped(choice_text(row)),
                     timed ? time_text(row.median_ns) : std::string(name_of(row.status)),
                     timed ? spread_text(row) : std::string(kAbsent), percent_text(row.roofline_share),
                     error_text(row.error), escaped(text_or_absent(row.command)));
}

}  // namespace

std::string every_row_section(const Page& page) {
  std::string body;
  size_t left_out = 0;
  for (const auto& [op, rows] : grouped(rows_of(page.run), [](const Row& row) { return row.op; })) {
    std::string lines;
    for (const Row* row : rows) {
      const std::string text = line(*row);
      if (body.size() + lines.size() + text.size() > kMostBytes)
        ++left_out;
      else
        lines += text;
    }
    body += fmt::format("<details>\n<summary>{}: {}</summary>\n", escaped(op), escaped(status_counts(rows)));
    body += scrolling(
                "<table class=\"plain rows\">\n<thead><tr><th>case<th>dtype<th>device<th>kernel<th>median"
                "<th>95 %<th>of roofline<th>error<th>command</thead>\n<tbody>\n" +
                lines + "</table>\n") +
            "</details>\n";
  }
  if (left_out > 0) body += fmt::format("<p class=\"note\">{} more rows are in the JSON file.</p>\n", left_out);
  return section("rows", "Every row, and its command", "Each command measures exactly that row again.", body);
}

}  // namespace backplane::bench::report::page
