// SPDX-License-Identifier: Apache-2.0
// Tuned over default, time against size, latency of small ops.
#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "report/page/sections.h"
#include "report/page/svg.h"
#include "report/words.h"

namespace backplane::bench::report::page {

namespace {

constexpr double kWidth = 360, kRight = 350;

std::string shortened(const std::string& text, size_t width) {
  if (width_of(text) <= width) return text;
  size_t end = text.size();
  while (width_of(std::string_view(text).substr(0, end)) > width - 1) --end;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "…";
}

std::string time_tick(double ns) { return without_zeros(time_text(ns)); }

// ---- tuned over default ----

struct Gain {
  std::string label;
  Ratio ratio;
  const Row* tuned;
};

constexpr double kWorthABar = 0.02;  // less is within what the tuner calls equal
constexpr size_t kMostBars = 20;

std::string gain_bars(const std::vector<Gain>& gains) {
  constexpr double kRow = 20, kFrom = 178, kTo = 302;
  double highest = 1.5, lowest = 1;
  for (const Gain& g : gains) {
    highest = std::max({highest, g.ratio.value, g.ratio.interval.high});
    lowest = std::min({lowest, g.ratio.value, g.ratio.interval.low});
  }
  const auto at = [&](double ratio) { return kFrom + (kTo - kFrom) * std::log(ratio / lowest) / std::log(highest / lowest); };
  Svg svg(kWidth, kRow * static_cast<double>(gains.size()) + 8, "tuned over default");
  for (size_t i = 0; i < gains.size(); ++i) {
    const Gain& g = gains[i];
    const double y = 4 + kRow * static_cast<double>(i);
    svg.text(kFrom - 8, y + 13, shortened(g.label, 25), "end");
    const double a = at(1), b = at(g.ratio.value);
    svg.rect(std::min(a, b), y + 3, std::max(1.0, std::abs(b - a)), kRow - 6, g.ratio.value >= 1 ? "gain" : "loss");
    svg.line(at(g.ratio.interval.low), y + kRow / 2, at(g.ratio.interval.high), y + kRow / 2, "whisker");
    svg.text(kRight, y + 13, times_text(g.ratio.value), "end", "strong");
  }
  svg.line(at(1), 0, at(1), kRow * static_cast<double>(gains.size()) + 8, "axis");
  return svg.finished();
}

std::string gain_figure(const Page& page, size_t device) {
  std::vector<Gain> gains;
  size_t even = 0, all = 0;
  for (const CaseRows& c : page.cases) {
    const auto ratio = c.on[device].gain();
    if (!ratio) continue;
    ++all;
    if (std::abs(ratio->value - 1) < kWorthABar) ++even;
    else gains.push_back({c.label(), *ratio, c.on[device].tuned});
  }
  if (all == 0) return "";
  std::stable_sort(gains.begin(), gains.end(), [](const Gain& a, const Gain& b) { return a.ratio.value > b.ratio.value; });
  std::string note;
  if (gains.size() > kMostBars) {  // both ends stay: the largest gains and every loss
    const size_t left_out = gains.size() - kMostBars;
    const auto from = gains.begin() + static_cast<std::ptrdiff_t>(kMostBars / 2);
    gains.erase(from, from + static_cast<std::ptrdiff_t>(left_out));
    note = fmt::format("{} in the middle of the list are left out. ", left_out);
  }
  if (even > 0) note += fmt::format("{} of {} cases are within 2 % of the default.", even, all);
  return figure(device_name(page, device), (gains.empty() ? "" : gain_bars(gains)) + "<p class=\"note\">" + note + "</p>\n");
}

// ---- scaling ----

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
  const LogAxis x(x_low, x_high, kLeft, kRight), y(y_low, y_high, kBottom, kTop);
  Svg svg(kWidth, 264, "time against size, " + heading);
  const auto millions = [](double value) { return without_zeros(digits(value / 1e6)); };
  draw_frame(svg, {x, y, kLeft, kTop, kRight, kBottom, in_flops ? "work, MFLOP" : "operands and results, MB", "median time",
                   millions, time_tick});
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

// ---- latency ----

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

std::string gain_section(const Page& page) {
  std::string figures;
  for (size_t d = 0; d < page.run.devices.size(); ++d) figures += gain_figure(page, d);
  return section("gain", "What tuning gains",
                 "Default's time over tuned time, measured in turns within one race, so 1.50 × is half as fast again; the thin "
                 "line is the 95 % interval. The line at the left end of the bars is 1 ×.",
                 grid(figures));
}

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
  return section("scaling", "Time against size",
                 "Medians of what users get, tuned where a tuned row exists; cases with equal work are one point, their geometric "
                 "mean. A flat left end is launch overhead.",
                 figures.empty() ? "" : legend(device_legend(page)) + grid(figures));
}

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
  const LogAxis x(low, high, kLeft, kRight, 0.06);
  Svg svg(kWidth, bottom + 36, "latency of small ops");
  for (const double value : x.ticks()) {
    svg.line(x.at(value), kTop, x.at(value), bottom, "grid");
    svg.text(x.at(value), bottom + 14, time_tick(value), "middle");
  }
  svg.text((kLeft + kRight) / 2, bottom + 30, "median time of one launch", "middle", "title");
  for (size_t i = 0; i < cases.size(); ++i) {
    const double y = kTop + kRow * static_cast<double>(i) + 22;
    svg.text(kLeft, y - 9, cases[i]->label());
    svg.line(kLeft, y, kRight, y, "grid");
    for (size_t d = 0; d < cases[i]->on.size(); ++d) {
      const Row* row = cases[i]->on[d].got();
      if (!row) continue;
      if (row->p10_ns && row->p90_ns) svg.line(x.at(*row->p10_ns), y, x.at(*row->p90_ns), y, "spread " + colour_class(d));
      svg.marker(x.at(*row->median_ns), y, d, false, page.run.devices[d].id + ": " + time_text(row->median_ns));
    }
  }
  std::string table = "<table class=\"plain\">\n<thead><tr><th scope=\"col\">case</th>";
  for (size_t d = 0; d < page.run.devices.size(); ++d) table += "<th scope=\"col\" class=\"n\">" + device_name(page, d) + "</th>";
  table += "</tr></thead>\n<tbody>\n";
  for (const CaseRows* c : cases) {
    table += "<tr><th scope=\"row\">" + escaped(c->label()) + "</th>";
    for (const OnDevice& on : c->on)
      table += "<td class=\"n\">" + (on.got() ? time_text(on.got()->median_ns) : std::string(kAbsent)) + "</td>";
    table += "</tr>\n";
  }
  return section("latency", "Latency of small ops",
                 "The smallest case of each op: what a launch costs more than what the arithmetic does. Bars from p10 to p90, "
                 "where there were samples enough.",
                 legend(device_legend(page)) +
                     grid(figure("p10 to p90", svg.finished()) + figure("medians", scrolling(table + "</tbody>\n</table>\n"), "wide")));
}

}  // namespace backplane::bench::report::page
