// SPDX-License-Identifier: Apache-2.0
// Time against size: one drawing an op, a line for each device.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "report/page/sections.h"
#include "report/page/svg.h"
#include "report/words.h"

namespace backplane::bench::report::page {

namespace {

using Series = std::map<double, std::vector<double>>;  // work -> medians in ns

std::string scaling_figure(const Page& page, const std::string& heading, const std::vector<const CaseRows*>& cases) {
  std::vector<Series> series(page.run.devices.size());
  bool in_flops = true;
  for (const CaseRows* c : cases) in_flops = in_flops && c->first->flops.value_or(0) > 0;
  double x_low = 1e300, x_high = 0, y_low = 1e300, y_high = 0;
  size_t longest = 0;
  for (const CaseRows* c : cases) {
    for (size_t d = 0; d < series.size(); ++d) {
      const Row* row = c->on[d].got();
      const double work = row ? (in_flops ? row->flops : row->bytes).value_or(0) : 0;
      if (work <= 0) continue;
      series[d][work].push_back(*row->median_ns);
      x_low = std::min(x_low, work), x_high = std::max(x_high, work);
      y_low = std::min(y_low, *row->median_ns), y_high = std::max(y_high, *row->median_ns);
      longest = std::max(longest, series[d].size());
    }
  }
  if (longest < 3) return "";
  constexpr double kLeft = 52, kTop = 26, kBottom = 228;
  const LogAxis x(x_low, x_high, kLeft, kChartRight), y(y_low, y_high, kBottom, kTop);
  Svg svg(kChartWidth, 264, "time against size, " + heading);
  const auto millions = [](double value) { return plain_tick(value / 1e6); };
  draw_frame(svg, {x, y, kLeft, kTop, kChartRight, kBottom, in_flops ? "work, MFLOP" : "operands and results, MB",
                   "median time", millions, time_tick});
  for (size_t d = 0; d < series.size(); ++d) {
    std::vector<std::pair<double, double>> points;
    for (const auto& [work, times] : series[d]) points.emplace_back(x.at(work), y.at(geometric_mean(times)));
    svg.path(points, "series " + colour_class(d));
    for (const auto& [work, times] : series[d])
      svg.marker(x.at(work), y.at(geometric_mean(times)), d, false,
                 page.run.devices[d].id + ": " + time_text(geometric_mean(times)), 3.5);
  }
  return figure(escaped(heading), svg.finished());
}

}  // namespace

std::string scaling_section(const Page& page) {
  std::vector<std::pair<std::string, std::vector<const CaseRows*>>> groups;
  for (const CaseRows& c : page.cases) {
    std::string heading = c.dtype.empty() ? c.op : c.op + " " + c.dtype;
    if (!c.first->attributes.empty()) heading += ", " + c.first->attributes;
    // Bound by memory where other products are not: on one line with them, a spike would be all that one sees.
    if (dimension(*c.first, "M") == 1 || dimension(*c.first, "N") == 1) heading += ", matrix-vector";
    auto at = std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.first == heading; });
    if (at == groups.end()) at = groups.insert(at, {heading, {}});
    at->second.push_back(&c);
  }
  std::string figures;
  for (const auto& [heading, cases] : groups) figures += scaling_figure(page, heading, cases);
  return section(
      "scaling", "Time against size",
      "Medians of what users get, tuned where a tuned row exists; cases with equal work are one point, their geometric "
      "mean. A flat left end is launch overhead.",
      figures.empty() ? "" : legend(device_legend(page)) + grid(figures));
}

}  // namespace backplane::bench::report::page
