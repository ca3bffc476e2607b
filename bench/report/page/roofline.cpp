// SPDX-License-Identifier: Apache-2.0
// Rooflines (Williams, Waterman and Patterson 2009): rate over arithmetic intensity, one drawing a
// device.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "report/page/sections.h"
#include "report/page/svg.h"
#include "report/words.h"

namespace backplane::bench::report::page {

namespace {

constexpr double kHeight = 270, kLeft = 44, kTop = 26, kRight = kChartRight, kBottom = 234;

struct Roof {
  std::string name;
  double value;  ///< GFLOP/s, or GB/s for a slope
};

struct Roofs {
  std::vector<Roof> flat, slopes;
  double highest() const {
    double value = 0;
    for (const Roof& r : flat) value = std::max(value, r.value);
    return value;
  }
  double steepest() const {
    double value = 0;
    for (const Roof& r : slopes) value = std::max(value, r.value);
    return value;
  }
};

/// Peaks by dtype; bandwidth of the largest and of the fastest working set.
Roofs roofs_of(const Run& run, const std::string& device) {
  Roofs roofs;
  const Ceiling *largest = nullptr, *fastest = nullptr;
  for (const Ceiling& c : run.ceilings) {
    if (c.device != device || c.value <= 0) continue;
    if (c.kind == CeilingKind::fma || c.kind == CeilingKind::matrix) {
      roofs.flat.push_back({fmt::format("{} {} {}", c.dtype, name_of(c.kind), flop_rate_text(c.value)), c.value});
    } else if (is_bandwidth(c.kind)) {
      const auto better = [&](const Ceiling* than) {
        return !than || c.working_set_bytes > than->working_set_bytes ||
               (c.working_set_bytes == than->working_set_bytes && c.value > than->value);
      };
      if (better(largest)) largest = &c;
      if (!fastest || c.value > fastest->value) fastest = &c;
    }
  }
  const auto slope = [](const Ceiling& c) {
    return Roof{byte_rate_text(c.value) + ", " + bytes_text(c.working_set_bytes), c.value};
  };
  if (largest) roofs.slopes.push_back(slope(*largest));
  if (fastest && fastest->value > 1.2 * largest->value) roofs.slopes.push_back(slope(*fastest));
  return roofs;
}

struct Point {
  double intensity, rate;
  size_t op;
  const Row* row;
};

std::optional<Point> point_of(const Row* row, size_t op) {
  if (!row) return std::nullopt;
  const auto rate = gflop_per_s(*row);
  if (!rate || *rate <= 0 || !row->bytes || *row->bytes <= 0) return std::nullopt;
  return Point{*row->flops / *row->bytes, *rate, op, row};
}

struct Points {
  std::vector<std::pair<std::optional<Point>, std::optional<Point>>> pairs;  ///< default and tuned
  double x_low = 1e300, x_high = 0, y_low = 1e300, y_high = 0;
};

Points points_of(const Page& page, size_t device, const std::vector<std::string>& ops) {
  Points points;
  for (const CaseRows& c : page.cases) {
    const auto op = static_cast<size_t>(std::find(ops.begin(), ops.end(), c.op) - ops.begin());
    auto pair = std::pair(point_of(c.on[device].default_row, op), point_of(c.on[device].tuned, op));
    if (!pair.first && !pair.second) continue;
    for (const auto& p : {pair.first, pair.second}) {
      if (!p) continue;
      points.x_low = std::min(points.x_low, p->intensity), points.x_high = std::max(points.x_high, p->intensity);
      points.y_low = std::min(points.y_low, p->rate), points.y_high = std::max(points.y_high, p->rate);
    }
    points.pairs.push_back(std::move(pair));
  }
  return points;
}

/// Names of flat ceilings stand above their lines; below where the next higher one is too near.
void draw_flat(Svg& svg, std::vector<Roof> flat, double slope, const LogAxis& x, const LogAxis& y) {
  constexpr double kLine = 12;
  std::sort(flat.begin(), flat.end(), [](const Roof& a, const Roof& b) { return a.value > b.value; });
  double lowest_text = 0;
  for (const Roof& r : flat) {
    const double from = slope > 0 ? std::max(x.low(), r.value / slope) : x.low(), at = y.at(r.value);
    svg.line(x.at(from), at, x.at(x.high()), at, "roof");
    lowest_text = at - 4 - lowest_text >= kLine ? at - 4 : std::max(at, lowest_text) + kLine;
    svg.text(kRight, lowest_text, r.name, "end", "roofname");
  }
}

void draw_roofs(Svg& svg, const Roofs& roofs, const LogAxis& x, const LogAxis& y) {
  const double peak = roofs.highest();
  draw_flat(svg, roofs.flat, roofs.steepest(), x, y);
  for (const Roof& r : roofs.slopes) {
    // From where the slope enters the area to where it meets the highest peak, or leaves.
    const double from = std::max(x.low(), y.low() / r.value);
    const double to = std::min(x.high(), (peak > 0 ? peak : y.high()) / r.value);
    if (from >= to) continue;
    const double x1 = x.at(from), y1 = y.at(from * r.value), x2 = x.at(to), y2 = y.at(to * r.value);
    svg.line(x1, y1, x2, y2, "roof");
    const double angle = std::atan2(y2 - y1, x2 - x1) * 180 / M_PI;
    svg.text(x1 + 6 + 5 * std::sin(angle * M_PI / 180), y1 - 9, r.name, "start", "roofname", angle);
  }
}

std::string roofline(const Page& page, size_t device, const std::vector<std::string>& ops) {
  const Points points = points_of(page, device, ops);
  if (points.pairs.empty()) return "";
  const Roofs roofs = roofs_of(page.run, page.run.devices[device].id);
  const double ridge = roofs.steepest() > 0 && roofs.highest() > 0 ? roofs.highest() / roofs.steepest() : points.x_high;
  // The steepest slope gets a decade of its own, or its name would have no room.
  const LogAxis x(std::min(points.x_low, ridge / 12), std::max(points.x_high, 4 * ridge), kLeft, kRight);
  const LogAxis y(points.y_low, std::max(points.y_high, roofs.highest()), kBottom, kTop, 0.07);
  Svg svg(kChartWidth, kHeight, "roofline of " + page.run.devices[device].id);
  draw_frame(svg, {x, y, kLeft, kTop, kRight, kBottom, "arithmetic intensity, FLOP per byte", "rate, FLOP/s",
                   plain_tick, flop_rate_tick});
  draw_roofs(svg, roofs, x, y);
  for (const auto& [before, after] : points.pairs) {
    if (before && after)
      svg.line(x.at(before->intensity), y.at(before->rate), x.at(after->intensity), y.at(after->rate), "step");
    for (const auto& p : {before, after}) {
      if (!p) continue;
      svg.marker(x.at(p->intensity), y.at(p->rate), p->op, p->row->choice == Choice::default_,
                 fmt::format("{} {}, {}: {}, {} of the roofline", p->row->name, p->row->dtype, choice_text(*p->row),
                             flop_rate_text(p->rate), percent_text(p->row->roofline_share)));
    }
  }
  return figure(escaped(page.run.devices[device].id), svg.finished());  // markers are ops here
}

/// A share above 1 is a ceiling that was measured too low, not a miracle.
std::string above_note(const Page& page) {
  size_t above = 0;
  for (const Row& row : page.run.rows) above += is_above(row.roofline_share.value_or(0));
  if (above == 0) return "";
  return fmt::format(
      "<p class=\"note\">{} rows lie above their roofline: those ceilings were measured too low, for example because "
      "other "
      "programs ran, or because the caches hold what the ceiling read from memory.</p>\n",
      above);
}

}  // namespace

std::string roofline_section(const Page& page) {
  const std::vector<std::string> ops = ops_of(page.cases);
  std::string figures;
  std::vector<LegendEntry> entries;
  for (size_t i = 0; i < ops.size(); ++i) entries.push_back({i, ops[i]});
  for (size_t d = 0; d < page.run.devices.size(); ++d) figures += roofline(page, d, ops);
  return section(
      "roofline", "Rooflines",
      "Lines are ceilings measured in this run, slopes with the working set that they hold for. Hollow: what the device "
      "takes by default; filled: what the tuner chose. Points below a slope are bound by memory, below a flat line by "
      "arithmetic, and far below both by launches.",
      figures.empty() ? "" : legend(entries) + grid(figures) + above_note(page));
}

}  // namespace backplane::bench::report::page
