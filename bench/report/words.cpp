// SPDX-License-Identifier: Apache-2.0
#include "report/words.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

namespace backplane::bench::report {

namespace {

struct Unit {
  double size;
  std::string_view name;
};

/// In the largest of the units, from small to large, of which there is at least one.
template <size_t N>
std::string in_units(std::optional<double> value, const std::array<Unit, N>& units) {
  if (!value || !std::isfinite(*value)) return std::string(kAbsent);
  const Unit* unit = &units[0];
  // 0.9995 of a unit is written with its three digits as 1.00.
  for (const Unit& u : units)
    if (std::abs(*value) >= 0.9995 * u.size) unit = &u;
  return fmt::format("{} {}", digits(*value / unit->size), unit->name);
}

/// "1.00 µs" -> "1 µs"
std::string without_zeros(std::string text) {
  const size_t end = std::min(text.find(' '), text.size());
  if (text.find('.') >= end) return text;
  const size_t last = text.find_last_not_of('0', end - 1);
  const size_t kept = text[last] == '.' ? last : last + 1;
  return text.erase(kept, end - kept);
}

std::string without_unit(const std::string& text, std::string_view unit) {
  return text.substr(0, text.size() - unit.size());
}

}  // namespace

std::string digits(double value) {
  const double size = std::abs(value);
  // The limits are where rounding to the digits shown adds one in front of the point.
  const int behind = size >= 99.95 ? 0 : size >= 9.995 ? 1 : size >= 0.9995 || size == 0 ? 2 : 3;
  return fmt::format("{:.{}f}", value, behind);
}

std::string time_text(std::optional<double> ns) {
  static constexpr std::array<Unit, 4> kUnits = {{{1, "ns"}, {1e3, "µs"}, {1e6, "ms"}, {1e9, "s"}}};
  return in_units(ns, kUnits);
}

std::string flop_rate_text(std::optional<double> gflop_per_s) {
  static constexpr std::array<Unit, 3> kUnits = {{{1e-3, "MFLOP/s"}, {1, "GFLOP/s"}, {1e3, "TFLOP/s"}}};
  return in_units(gflop_per_s, kUnits);
}

std::string byte_rate_text(std::optional<double> gb_per_s) {
  static constexpr std::array<Unit, 3> kUnits = {{{1e-3, "MB/s"}, {1, "GB/s"}, {1e3, "TB/s"}}};
  return in_units(gb_per_s, kUnits);
}

std::string bytes_text(int64_t bytes) {
  static constexpr std::array<std::string_view, 5> kNames = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t i = 0;
  auto value = static_cast<double>(bytes);
  for (; value >= 1024 && i + 1 < kNames.size(); ++i) value /= 1024;
  return value == std::floor(value) ? fmt::format("{} {}", static_cast<int64_t>(value), kNames[i])
                                    : fmt::format("{} {}", digits(value), kNames[i]);
}

std::string percent_text(std::optional<double> fraction) {
  if (!fraction || !std::isfinite(*fraction)) return std::string(kAbsent);
  return fmt::format("{:.{}f} %", 100 * *fraction, std::abs(*fraction) < 0.0995 ? 1 : 0);
}

std::string times_text(std::optional<double> ratio) {
  if (!ratio || !std::isfinite(*ratio)) return std::string(kAbsent);
  return std::abs(*ratio) < 9.995 ? fmt::format("{:.2f} ×", *ratio) : digits(*ratio) + " ×";
}

std::string error_text(std::optional<double> error) {
  if (!error || !std::isfinite(*error)) return std::string(kAbsent);
  return *error == 0 ? "0" : fmt::format("{:.0e}", *error);
}

std::string spread_text(const Row& row) {
  if (!row.interval_ns || !row.median_ns || *row.median_ns <= 0) return std::string(kAbsent);
  return "± " + percent_text((row.interval_ns->high - row.interval_ns->low) / 2 / *row.median_ns);
}

std::string text_or_absent(std::string_view text) { return std::string(text.empty() ? kAbsent : text); }

std::string choice_text(const Row& row) {
  if (row.choice == Choice::variant || row.choice == Choice::peer) return text_or_absent(row.variant);
  std::string text(name_of(row.choice));
  return row.variant.empty() ? text : text + ": " + row.variant;
}

std::string time_tick(double ns) { return without_zeros(time_text(ns)); }
std::string flop_rate_tick(double value) { return without_unit(without_zeros(flop_rate_text(value)), "FLOP/s"); }
std::string byte_rate_tick(double value) { return without_unit(without_zeros(byte_rate_text(value)), "B/s"); }
std::string plain_tick(double value) { return fmt::format("{:g}", value); }

size_t width_of(std::string_view text) {
  size_t width = 0;
  for (const char c : text) width += (static_cast<unsigned char>(c) & 0xC0) != 0x80;  // not a byte that continues
  return width;
}

}  // namespace backplane::bench::report
