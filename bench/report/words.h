// SPDX-License-Identifier: Apache-2.0
// Values as every report prints them: three digits and a unit, "—" for what is not there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "report/results.h"

namespace backplane::bench::report {

inline constexpr std::string_view kAbsent = "—";

/// "0.123", "12.3", "1234": three digits, more only in front of the point.
std::string digits(double value);
/// "12.3 µs"
std::string time_text(std::optional<double> ns);
/// "104 GFLOP/s", "1.20 TFLOP/s"; "25.0 GB/s"
std::string flop_rate_text(std::optional<double> gflop_per_s);
std::string byte_rate_text(std::optional<double> gb_per_s);
/// "4 KiB"
std::string bytes_text(int64_t bytes);
/// 0.123 -> "12 %", 0.0123 -> "1.2 %"
std::string percent_text(std::optional<double> fraction);
/// "1.24 ×"
std::string times_text(std::optional<double> ratio);
/// "2e-07"
std::string error_text(std::optional<double> error);
/// "± 1.2 %": half the interval's width over the median.
std::string spread_text(const Row& row);
std::string text_or_absent(std::string_view text);
/// "tuned: tiled@bm=64"; the variant alone for Choice::variant, the library's name for Choice::peer.
std::string choice_text(const Row& row);

/// Without zeros that say nothing, for ticks of an axis: "10 µs"; "10 G", where the axis' title has the unit.
std::string time_tick(double ns);
std::string flop_rate_tick(double gflop_per_s);
std::string byte_rate_tick(double gb_per_s);
std::string plain_tick(double value);

/// Columns on a terminal of UTF-8 text without wide characters.
size_t width_of(std::string_view text);

}  // namespace backplane::bench::report
