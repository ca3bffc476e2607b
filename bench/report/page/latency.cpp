// SPDX-License-Identifier: Apache-2.0
// Latency of small ops: what a launch costs on each device.
#include <algorithm>

#include <fmt/format.h>

#include "report/page/sections.h"
#include "report/page/svg.h"
#include "report/words.h"

namespace backplane::bench::report::page {

namespace {

/// The case of each op with the least work that most devices have a time for.
std::vector<const CaseRows*> smallest_cases(const Page& page) {
  std::vector<const CaseRows*> list;
  for (const std::string& op : ops_of(page.cases)) {
    const CaseRows* best = nullptr;
    std::pair<size_t, double> best_rank;
    for (const CaseRows& c : page.cases) {
      if (c.op != op) continue;
      size_t timed = 0;
      for (const OnDevice& on : c.on) timed += on.got() != nullptr;
      const double work = c.first->bytes.value_or(0) + c.first->flops.value_or(0);
      const std::pair<size_t, double> rank(page.run.devices.size() - timed, work);
      if (timed > 0 && (!best || rank < best_rank)) best = &c, best_rank = rank;
    }
    if (best) list.push_back(best);
  }
  return list;
}

}  // namespace

std::string latency_section(const Page& page) {
  const std::vector<const CaseRows*> cases = smallest_cases(page);
  if (cases.empty()) return "";
  double low = 1e300, high = 0;
  for (const CaseRows* c : cases) {
    for (const OnDevice& on : c->on) {
      if (!on.got()) continue;
      low = std::min(low, on.got()->p10_ns.value_or(*on.got()->median_ns));
      high = std::max(high, on.got()->p90_ns.value_or(*on.got()->median_ns));
    }
  }
  constexpr double kRow = 30, kLeft = 12, kTop = 8;
  const double bottom = kTop + kRow * static_cast<double>(cases.size());
  const LogAxis x(low, high, kLeft, kChartRight, 0.06);
  Svg svg(kChartWidth, bottom + 36, "latency of small ops");
  for (const double value : x.ticks()) {
    svg.line(x.at(value), kTop, x.at(value), bottom, "grid");
    svg.text(x.at(value), bottom + 14, time_tick(value), "middle");
  }
  svg.text((kLeft + kChartRight) / 2, bottom + 30, "median time of one launch", "middle", "title");
  for (size_t i = 0; i < cases.size(); ++i) {
    const double y = kTop + kRow * static_cast<double>(i) + 22;
    svg.text(kLeft, y - 9, cases[i]->label());
    svg.line(kLeft, y, kChartRight, y, "grid");
    for (size_t d = 0; d < cases[i]->on.size(); ++d) {
      const Row* row = cases[i]->on[d].got();
      if (!row) continue;
      if (row->p10_ns && row->p90_ns)
        svg.line(x.at(*row->p10_ns), y, x.at(*row->p90_ns), y, "spread " + colour_class(d));
      svg.marker(x.at(*row->median_ns), y, d, false, page.run.devices[d].id + ": " + time_text(row->median_ns));
    }
  }
  std::string table = "<table class=\"plain\">\n<thead><tr><th scope=\"col\">case</th>";
  for (size_t d = 0; d < page.run.devices.size(); ++d)
    table += "<th scope=\"col\" class=\"n\">" + device_name(page, d) + "</th>";
  table += "</tr></thead>\n<tbody>\n";
  for (const CaseRows* c : cases) {
    table += "<tr><th scope=\"row\">" + escaped(c->label()) + "</th>";
    for (const OnDevice& on : c->on)
      table += "<td class=\"n\">" + (on.got() ? time_text(on.got()->median_ns) : std::string(kAbsent)) + "</td>";
    table += "</tr>\n";
  }
  return section(
      "latency", "Latency of small ops",
      "The smallest case of each op: what a launch costs more than what the arithmetic does. Bars from p10 to p90, "
      "where there were samples enough.",
      legend(device_legend(page)) + grid(figure("p10 to p90", svg.finished()) +
                                         figure("medians", scrolling(table + "</tbody>\n</table>\n"), "wide")));
}

}  // namespace backplane::bench::report::page
