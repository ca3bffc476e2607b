// SPDX-License-Identifier: Apache-2.0
// Other libraries that did the same work in the same race: how many times our default's time they take.
#include <algorithm>

#include <fmt/format.h>

#include "report/page/sections.h"
#include "report/page/svg.h"
#include "report/words.h"

namespace backplane::bench::report::page {

namespace {

std::vector<std::string> peers_on(const Page& page, size_t device) {
  std::vector<std::string> names;
  for (const CaseRows& c : page.cases) {
    for (const Row* row : c.on[device].peers)
      if (std::ranges::count(names, row->variant) == 0) names.push_back(row->variant);
  }
  return names;
}

std::string ratio_cell(const Row* row) {
  if (!row || row->status == Status::unmeasured) return "<td class=\"none n\">—</td>";
  if (row->status != Status::measured || !row->to_default) {
    return fmt::format("<td class=\"n {0}\" title=\"{1}\">{0}</td>", name_of(row->status),
                       escaped(text_or_absent(row->reason)));
  }
  const Ratio& ratio = *row->to_default;
  // Neither, where the interval has room for both.
  const char* who = ratio.interval.low > 1 ? "right" : ratio.interval.high < 1 ? "lost" : "none";
  return fmt::format("<td class=\"n\" title=\"{}; 95 %: {} – {}\"><b class=\"{}\">{}</b></td>",
                     time_text(row->median_ns), times_text(ratio.interval.low), times_text(ratio.interval.high), who,
                     times_text(ratio.value));
}

std::string table_of(const Page& page, size_t device, const std::vector<std::string>& names) {
  std::string text = "<table class=\"plain\">\n<thead><tr><th scope=\"col\">case</th>";
  std::vector<std::string> heads = {"default", "tuned"};
  heads.insert(heads.end(), names.begin(), names.end());
  for (const std::string& head : heads) text += "<th class=\"n\" scope=\"col\">" + escaped(head) + "</th>";
  text += "</tr></thead>\n<tbody>\n";
  for (const CaseRows& c : page.cases) {
    const OnDevice& on = c.on[device];
    if (on.peers.empty()) continue;
    text += "<tr><th scope=\"row\">" + escaped(c.label()) + "</th><td class=\"n\">" +
            time_text(on.default_row ? on.default_row->median_ns : std::nullopt) + "</td>" + ratio_cell(on.tuned);
    for (const std::string& name : names) {
      const auto at = std::ranges::find(on.peers, name, &Row::variant);
      text += ratio_cell(at == on.peers.end() ? nullptr : *at);
    }
    text += "</tr>\n";
  }
  return text + "</tbody>\n</table>\n";
}

}  // namespace

std::string peers_section(const Page& page) {
  std::string body;
  for (size_t d = 0; d < page.run.devices.size(); ++d) {
    const std::vector<std::string> names = peers_on(page, d);
    if (!names.empty()) body += figure(device_name(page, d), scrolling(table_of(page, d, names)));
  }
  return section("peers", "Beside other libraries",
                 "The same work in the same interleaved race, timed by the host: times over our default's. Green: ours "
                 "is faster; red: theirs; grey: the 95 % interval holds both.",
                 body);
}

}  // namespace backplane::bench::report::page
