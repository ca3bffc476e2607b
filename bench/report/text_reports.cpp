// SPDX-License-Identifier: Apache-2.0
// The terminal's report and Markdown: the same contents, the rows by op.
#include <fmt/format.h>

#include "report/contents.h"
#include "report/reports.h"
#include "report/words.h"

namespace backplane::bench::report {

std::string terminal(const Run& run) {
  std::string text;
  if (run.made_up) text += made_up_notice(run) + "\n\n";
  for (const auto& [label, value] : facts(run)) text += fmt::format("{:<20} {}\n", label, value);
  if (!run.parts.empty()) text += "\n" + terminal_text(parts_table(run));
  text += "\n" + terminal_text(devices_table(run));
  if (!run.ceilings.empty()) text += "\n" + terminal_text(ceilings_table(run));
  for (const auto& [op, rows] : grouped(rows_of(run), [](const Row& row) { return row.op; }))
    text += "\n" + terminal_text(rows_table(rows));
  return text;
}

std::string markdown(const Run& run) {
  std::string text = "# Measured " + text_or_absent(run.started) + "\n\n";
  if (run.made_up) text += "**" + made_up_notice(run) + "**\n\n";
  for (const auto& [label, value] : facts(run)) text += fmt::format("- {}: {}\n", label, markdown_cell(value));
  if (!run.parts.empty()) text += "\n## Sweeps\n\n" + markdown_text(parts_table(run));
  text += "\n## Devices\n\n" + markdown_text(devices_table(run));
  if (!run.ceilings.empty()) {
    text += "\n## Ceilings\n\nMeasured in this run; shares below are of these.\n\n";
    text += markdown_text(ceilings_table(run));
  }
  for (const auto& [op, rows] : grouped(rows_of(run), [](const Row& row) { return row.op; })) {
    Rows main, variants;
    for (const Row* row : rows) (row->choice == Choice::variant ? variants : main).push_back(row);
    text += "\n## " + op + "\n";
    if (!main.empty()) text += "\n" + markdown_text(rows_table(main));
    if (!variants.empty()) {
      text += fmt::format("\n<details><summary>{} rows of single variants</summary>\n\n", variants.size());
      text += markdown_text(rows_table(variants)) + "\n</details>\n";
    }
  }
  text += "\n<details><summary>The command of every row</summary>\n\n```sh\n";
  for (const Row& row : run.rows)
    if (!row.command.empty()) text += row.command + "  # " + identity(row) + "\n";
  return text + "```\n\n</details>\n";
}

}  // namespace backplane::bench::report
