// SPDX-License-Identifier: Apache-2.0
// The page: head, the figures that matter most, the sections in the order in which a reader asks.
#include <fmt/format.h>

#include "report/page/sections.h"
#include "report/page/style.h"
#include "report/page/svg.h"
#include "report/reports.h"
#include "report/statistics.h"
#include "report/words.h"

namespace backplane::bench::report {

namespace page {
namespace {

std::string tile(const std::string& value, const std::string& meaning) {
  return "<div><b>" + escaped(value) + "</b><span>" + escaped(meaning) + "</span></div>\n";
}

std::string tiles(const Page& page) {
  std::vector<double> shares, gains;
  size_t measured = 0, wrong = 0;
  for (const Row& row : page.run.rows) {
    measured += row.status == Status::measured;
    wrong += row.status == Status::wrong;
  }
  for (const CaseRows& c : page.cases) {
    for (const OnDevice& on : c.on) {
      if (const Row* got = on.got(); got && got->roofline_share) shares.push_back(*got->roofline_share);
      if (const auto gain = on.gain()) gains.push_back(gain->value);
    }
  }
  std::string text = "<div class=\"tiles\">\n";
  text += tile(std::to_string(page.cases.size()), fmt::format("cases on {} devices", page.run.devices.size()));
  text += tile(std::to_string(measured), fmt::format("rows timed, of {}", page.run.rows.size()));
  text += tile(std::to_string(wrong), "wrong results, none of them timed");
  text +=
      tile(shares.empty() ? std::string(kAbsent) : percent_text(median(shares)), "of the roofline, median over cases");
  text += tile(gains.empty() ? std::string(kAbsent) : times_text(geometric_mean(gains)),
               "gained by tuning, geometric mean");
  text += tile(percent_text(page.run.environment.noise_floor),
               page.run.parts.empty() ? "noise floor of this run" : "largest noise floor of its sweeps");
  return text + "</div>\n";
}

std::string head(const Page& page) {
  std::string suites;
  for (const auto& [suite, rows] : grouped(rows_of(page.run), [](const Row& row) { return row.suite; })) {
    if (!suite.empty()) suites += (suites.empty() ? "" : ", ") + suite;
  }
  std::string text = "<header>\n<h1>Backplane bench</h1>\n<div class=\"sub\">";
  if (!suites.empty()) text += (suites.find(',') != std::string::npos ? "suites " : "suite ") + escaped(suites) + " · ";
  text += escaped(text_or_absent(page.run.started)) + " · " + escaped(text_or_absent(page.run.environment.cpu_model));
  text += legend(device_legend(page)) + "</div>\n";
  if (page.run.made_up) text += "<p class=\"notice\">" + escaped(made_up_notice(page.run)) + "</p>\n";
  return text + tiles(page);
}

struct Entry {
  const char* id;
  const char* name;
  std::string (*make)(const Page& page);
};

const Entry kSections[] = {{"machine", "Machine", machine_section},     {"summary", "Summary", summary_section},
                           {"roofline", "Rooflines", roofline_section}, {"cases", "Cases", heat_map_section},
                           {"wins", "Variants", win_map_section},       {"gain", "Tuning", gain_section},
                           {"peers", "Peers", peers_section},           {"scaling", "Scaling", scaling_section},
                           {"latency", "Latency", latency_section},     {"support", "Correctness", support_section},
                           {"ceilings", "Ceilings", ceiling_section},   {"rows", "Rows", every_row_section}};

}  // namespace
}  // namespace page

std::string html(const Run& measured) {
  Run run = measured;  // devices that only rows name are added
  const std::vector<page::CaseRows> cases = page::cases_of(run);
  const page::Page page{run, cases};
  std::string links, sections;
  for (const page::Entry& entry : page::kSections) {
    const std::string text = entry.make(page);
    if (text.empty()) continue;
    links += fmt::format("<a href=\"#{}\">{}</a>\n", entry.id, entry.name);
    sections += text;
  }
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Backplane bench, {}</title>\n"
      "<style>{}</style>\n</head>\n<body style=\"--devices:{}\">\n{}<nav>\n{}</nav>\n</header>\n<main>\n{}</main>\n"
      "<footer>Times are medians of samples; a dash means that nothing was measured. FLOP and bytes are counted as the "
      "op "
      "defines them: each input read once, each output written once.</footer>\n</body>\n</html>\n",
      page::escaped(text_or_absent(run.started)), page::kStyle, run.devices.size(), page::head(page), links, sections);
}

}  // namespace backplane::bench::report
