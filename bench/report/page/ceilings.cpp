// SPDX-License-Identifier: Apache-2.0
// What devices do at the most: bandwidth over the working set as drawings, the other ceilings as a table.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "report/page/sections.h"
#include "report/page/svg.h"
#include "report/words.h"

namespace backplane::bench::report::page {

namespace {

constexpr double kHeight = 270, kLeft = 44, kTop = 26, kRight = kChartRight, kBottom = 234;

std::string size_tick(double bytes) { return bytes_text(static_cast<int64_t>(bytes)); }

/// Read, write and copy over the working set.
std::string bandwidth(const Page& page, size_t device) {
  std::map<CeilingKind, std::vector<std::pair<double, double>>> lines;
  double x_low = 1e300, x_high = 0, y_low = 1e300, y_high = 0;
  for (const Ceiling& c : page.run.ceilings) {
    if (c.device != page.run.devices[device].id || !is_bandwidth(c.kind) || c.working_set_bytes <= 0 || c.value <= 0)
      continue;
    const auto bytes = static_cast<double>(c.working_set_bytes);
    lines[c.kind].emplace_back(bytes, c.value);
    x_low = std::min(x_low, bytes), x_high = std::max(x_high, bytes);
    y_low = std::min(y_low, c.value), y_high = std::max(y_high, c.value);
  }
  if (lines.empty()) return "";
  const LogAxis x(x_low, x_high, kLeft, kRight), y(y_low, y_high, kBottom, kTop, 0.08);
  Svg svg(kChartWidth, kHeight, "bandwidth of " + page.run.devices[device].id);
  draw_frame(svg, {x, y, kLeft, kTop, kRight, kBottom, "working set", "bandwidth, B/s", size_tick, byte_rate_tick});
  for (auto& [kind, line] : lines) {
    std::sort(line.begin(), line.end());
    const size_t index = static_cast<size_t>(kind) - static_cast<size_t>(CeilingKind::read);
    std::vector<std::pair<double, double>> points;
    for (const auto& [bytes, value] : line) points.emplace_back(x.at(bytes), y.at(value));
    svg.path(points, "series " + colour_class(index));
    for (const auto& [bytes, value] : line)
      svg.marker(
          x.at(bytes), y.at(value), index, false,
          fmt::format("{}, {}: {}", name_of(kind), bytes_text(static_cast<int64_t>(bytes)), byte_rate_text(value)),
          3.5);
  }
  return figure(escaped(page.run.devices[device].id), svg.finished());  // markers are directions here
}

}  // namespace

std::string ceiling_section(const Page& page) {
  std::string figures;
  for (size_t d = 0; d < page.run.devices.size(); ++d) figures += bandwidth(page, d);
  std::string peaks;
  for (const Ceiling& c : page.run.ceilings) {
    if (is_bandwidth(c.kind)) continue;
    const std::string value = c.kind == CeilingKind::launch ? time_text(c.value) : flop_rate_text(c.value);
    peaks += "<tr><th scope=\"row\">" + escaped(c.device) + "</th><td>" + std::string(name_of(c.kind)) + "</td><td>" +
             escaped(text_or_absent(c.dtype)) + "</td><td class=\"n\">" + value + "</td></tr>\n";
  }
  if (!peaks.empty()) {
    peaks = scrolling(
        "<table class=\"plain\">\n<thead><tr><th scope=\"col\">device</th><th scope=\"col\">ceiling</th>"
        "<th scope=\"col\">dtype</th><th scope=\"col\" class=\"n\">value</th></tr></thead>\n<tbody>\n" +
        peaks + "</tbody>\n</table>\n");
  }
  if (!figures.empty()) figures = legend({{0, "read"}, {1, "write"}, {2, "copy"}}) + grid(figures);
  return section("ceilings", "Ceilings", "What each device does at the most, measured before the rows.",
                 figures + peaks);
}

}  // namespace backplane::bench::report::page
