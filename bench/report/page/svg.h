// SPDX-License-Identifier: Apache-2.0
// Drawing: text that is safe in HTML, logarithmic axes, frames with ticks, markers. Colours come from the page's style
// sheet by class, so that a chart follows light and dark.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace backplane::bench::report::page {

/// For text and attributes in quotes.
std::string escaped(std::string_view text);

/// Colours c0 ... and shapes of devices, ops and variants repeat after so many.
inline constexpr size_t kColours = 8;
/// Of drawings that stand side by side: about a telephone's width, so that text keeps its size there.
inline constexpr double kChartWidth = 360, kChartRight = 350;
std::string colour_class(size_t index);

class LogAxis {
 public:
  /// Values low .. high, widened by `margin` of the length on each side, are drawn from `from` to `to`.
  LogAxis(double low, double high, double from, double to, double margin = 0.04);
  double at(double value) const;
  /// 1, 10, 100 ...; with 2 and 5 where fewer than three decades are seen; every second or third where there are many.
  std::vector<double> ticks() const;
  double low() const { return low_; }
  double high() const { return high_; }

 private:
  double low_, high_, from_, to_;
};

/// Parts of one drawing; the size is in units of about a pixel on a telephone.
class Svg {
 public:
  Svg(double width, double height, std::string label);
  void line(double x1, double y1, double x2, double y2, std::string_view cls);
  void path(const std::vector<std::pair<double, double>>& points, std::string_view cls);
  void rect(double x, double y, double width, double height, std::string_view cls);
  /// `anchor`: "start", "middle", "end". `angle` in degrees, about the point.
  void text(double x, double y, std::string_view text, std::string_view anchor = "start", std::string_view cls = "",
            double angle = 0);
  /// The index chooses shape and colour; hollow ones show the ground. `title` is what a pointer sees.
  void marker(double x, double y, size_t index, bool hollow, std::string_view title, double radius = 4.5);
  std::string finished() const;

 private:
  double width_, height_;
  std::string label_, body_;
};

/// Grid lines, tick texts and axis titles around the area that the axes are drawn in.
struct Frame {
  const LogAxis &x, &y;
  double left, top, right, bottom;
  std::string x_title, y_title;
  std::string (*x_text)(double);
  std::string (*y_text)(double);
};
void draw_frame(Svg& svg, const Frame& frame);

/// A marker as a drawing of its own, for legends.
std::string marker_icon(size_t index, bool hollow = false);

}  // namespace backplane::bench::report::page
