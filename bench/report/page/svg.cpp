// SPDX-License-Identifier: Apache-2.0
#include "report/page/svg.h"

#include <array>
#include <cmath>
#include <numbers>

#include <fmt/format.h>

namespace backplane::bench::report::page {

namespace {

/// Corners of a regular polygon, or of a star when every second lies inside.
struct Shape {
  int corners;  ///< 0: a circle
  double turn;  ///< of the first corner, in degrees; 0 is to the right, -90 up
  double size;  ///< so that all look equally large
  double inner = 1;
};
constexpr std::array<Shape, kColours> kShapes = {{{0, 0, 1},
                                                  {4, 45, 1.25},
                                                  {3, -90, 1.35},
                                                  {4, 0, 1.3},
                                                  {3, 90, 1.35},
                                                  {5, -90, 1.2},
                                                  {6, 0, 1.15},
                                                  {10, -90, 1.45, 0.5}}};

std::string marker_shape(double x, double y, size_t index, bool hollow, double radius) {
  const Shape& shape = kShapes[index % kShapes.size()];
  const std::string cls = fmt::format("mk {}{}", colour_class(index), hollow ? " o" : "");
  if (shape.corners == 0)
    return fmt::format("<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\"", cls, x, y, radius);
  std::string points;
  for (int i = 0; i < shape.corners; ++i) {
    const double angle = (shape.turn + 360.0 * i / shape.corners) * std::numbers::pi / 180;
    const double r = radius * shape.size * (i % 2 == 1 ? shape.inner : 1);
    points += fmt::format("{}{:.1f},{:.1f}", i > 0 ? " " : "", x + r * std::cos(angle), y + r * std::sin(angle));
  }
  return fmt::format("<polygon class=\"{}\" points=\"{}\"", cls, points);
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += static_cast<unsigned char>(c) < 0x20 && c != '\n' ? ' ' : c;
    }
  }
  return result;
}

std::string colour_class(size_t index) { return "c" + std::to_string(index % kColours); }

LogAxis::LogAxis(double low, double high, double from, double to, double margin) : from_(from), to_(to) {
  const double a = std::log10(low), b = std::log10(high);
  const double wider = std::max(margin * (b - a), (1 - (b - a)) / 2);  // at least one decade is seen
  low_ = std::pow(10, a - wider), high_ = std::pow(10, b + wider);
}

double LogAxis::at(double value) const {
  return from_ + (to_ - from_) * std::log(value / low_) / std::log(high_ / low_);
}

std::vector<double> LogAxis::ticks() const {
  const double decades = std::log10(high_ / low_);
  const int step = decades > 12 ? 3 : decades > 6 ? 2 : 1;
  std::vector<double> list;
  for (int power = static_cast<int>(std::floor(std::log10(low_))); std::pow(10, power) <= high_; ++power) {
    if (power % step != 0) continue;
    for (const int digit : {1, 2, 5}) {
      const double value = digit * std::pow(10, power);
      if (digit > 1 && decades >= 2) continue;
      if (value >= low_ && value <= high_) list.push_back(value);
    }
  }
  return list;
}

Svg::Svg(double width, double height, std::string label) : width_(width), height_(height), label_(std::move(label)) {}

void Svg::line(double x1, double y1, double x2, double y2, std::string_view cls) {
  body_ += fmt::format("<line class=\"{}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n", cls, x1, y1,
                       x2, y2);
}

void Svg::path(const std::vector<std::pair<double, double>>& points, std::string_view cls) {
  body_ += fmt::format("<polyline class=\"{}\" points=\"", cls);
  for (size_t i = 0; i < points.size(); ++i)
    body_ += fmt::format("{}{:.1f},{:.1f}", i > 0 ? " " : "", points[i].first, points[i].second);
  body_ += "\"/>\n";
}

void Svg::rect(double x, double y, double width, double height, std::string_view cls) {
  body_ += fmt::format("<rect class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>\n", cls, x, y,
                       width, height);
}

void Svg::text(double x, double y, std::string_view text, std::string_view anchor, std::string_view cls, double angle) {
  body_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\"", x, y);
  if (anchor != "start") body_ += fmt::format(" text-anchor=\"{}\"", anchor);
  if (!cls.empty()) body_ += fmt::format(" class=\"{}\"", cls);
  if (angle != 0) body_ += fmt::format(" transform=\"rotate({:.1f} {:.1f} {:.1f})\"", angle, x, y);
  body_ += ">" + escaped(text) + "</text>\n";
}

void Svg::marker(double x, double y, size_t index, bool hollow, std::string_view title, double radius) {
  const std::string shape = marker_shape(x, y, index, hollow, radius);
  body_ += shape + "><title>" + escaped(title) + "</title></" + shape.substr(1, shape.find(' ') - 1) + ">\n";
}

std::string Svg::finished() const {
  return fmt::format("<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\">\n{}</svg>\n", width_, height_,
                     escaped(label_), body_);
}

void draw_frame(Svg& svg, const Frame& f) {
  for (const double value : f.x.ticks()) {
    const double x = f.x.at(value);
    svg.line(x, f.top, x, f.bottom, "grid");
    svg.text(x, f.bottom + 14, f.x_text(value), "middle");
  }
  for (const double value : f.y.ticks()) {
    const double y = f.y.at(value);
    svg.line(f.left, y, f.right, y, "grid");
    svg.text(f.left - 5, y + 4, f.y_text(value), "end");
  }
  svg.line(f.left, f.bottom, f.right, f.bottom, "axis");
  svg.line(f.left, f.top, f.left, f.bottom, "axis");
  svg.text((f.left + f.right) / 2, f.bottom + 30, f.x_title, "middle", "title");
  svg.text(f.left, f.top - 8, f.y_title, "start", "title");
}

std::string marker_icon(size_t index, bool hollow) {
  return "<svg class=\"icon\" viewBox=\"0 0 14 14\" aria-hidden=\"true\">" + marker_shape(7, 7, index, hollow, 4.5) +
         "/></svg>";
}

}  // namespace backplane::bench::report::page
