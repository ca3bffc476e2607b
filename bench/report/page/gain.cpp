// SPDX-License-Identifier: Apache-2.0
// Tuned over default, as bars: one drawing a device, the largest gains first.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "report/page/sections.h"
#include "report/page/svg.h"
#include "report/words.h"

namespace backplane::bench::report::page {

namespace {

std::string shortened(const std::string& text, size_t width) {
  if (width_of(text) <= width) return text;
  size_t end = text.size();
  while (width_of(std::string_view(text).substr(0, end)) > width - 1) --end;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "…";
}

struct Gain {
  std::string label;
  Ratio ratio;
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
  const auto at = [&](double ratio) {
    return kFrom + (kTo - kFrom) * std::log(ratio / lowest) / std::log(highest / lowest);
  };
  Svg svg(kChartWidth, kRow * static_cast<double>(gains.size()) + 8, "tuned over default");
  for (size_t i = 0; i < gains.size(); ++i) {
    const Gain& g = gains[i];
    const double y = 4 + kRow * static_cast<double>(i);
    svg.text(kFrom - 8, y + 13, shortened(g.label, 25), "end");
    const double a = at(1), b = at(g.ratio.value);
    svg.rect(std::min(a, b), y + 3, std::max(1.0, std::abs(b - a)), kRow - 6, g.ratio.value >= 1 ? "gain" : "loss");
    svg.line(at(g.ratio.interval.low), y + kRow / 2, at(g.ratio.interval.high), y + kRow / 2, "whisker");
    svg.text(kChartRight, y + 13, times_text(g.ratio.value), "end", "strong");
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
    if (std::abs(ratio->value - 1) < kWorthABar)
      ++even;
    else
      gains.push_back({c.label(), *ratio});
  }
  if (all == 0) return "";
  std::stable_sort(gains.begin(), gains.end(),
                   [](const Gain& a, const Gain& b) { return a.ratio.value > b.ratio.value; });
  std::string note;
  if (gains.size() > kMostBars) {  // both ends stay: the largest gains and every loss
    const size_t left_out = gains.size() - kMostBars;
    const auto from = gains.begin() + static_cast<std::ptrdiff_t>(kMostBars / 2);
    gains.erase(from, from + static_cast<std::ptrdiff_t>(left_out));
    note = fmt::format("{} in the middle of the list are left out. ", left_out);
  }
  if (even > 0) note += fmt::format("{} of {} cases are within 2 % of the default.", even, all);
  return figure(device_name(page, device),
                (gains.empty() ? "" : gain_bars(gains)) + "<p class=\"note\">" + note + "</p>\n");
}

}  // namespace

std::string gain_section(const Page& page) {
  std::string figures;
  for (size_t d = 0; d < page.run.devices.size(); ++d) figures += gain_figure(page, d);
  return section(
      "gain", "What tuning gains",
      "Default's time over tuned time, measured in turns within one race, so 1.50 × is half as fast again; the thin "
      "line is the 95 % interval. The line at the left end of the bars is 1 ×.",
      grid(figures));
}

}  // namespace backplane::bench::report::page
