// SPDX-License-Identifier: Apache-2.0
#include "report/results.h"

namespace backplane::bench::report {

namespace {

std::optional<double> per_second(const Row& row, const std::optional<double>& count) {
  if (!row.median_ns || !count || *row.median_ns <= 0) return std::nullopt;
  return *count / *row.median_ns;  // 1 per ns is 10^9 a second
}

}  // namespace

std::optional<double> gflop_per_s(const Row& row) { return per_second(row, row.flops); }
std::optional<double> gb_per_s(const Row& row) { return per_second(row, row.bytes); }

std::optional<int64_t> dimension(const Row& row, std::string_view name) {
  for (const auto& [key, value] : row.dimensions)
    if (key == name) return value;
  return std::nullopt;
}

std::string identity(const Row& row) {
  std::string text = row.name + ' ' + row.dtype + ' ' + row.device + ' ' + std::string(name_of(row.choice));
  if (row.choice == Choice::variant || row.choice == Choice::peer) text += ' ' + row.variant;
  return text;
}

}  // namespace backplane::bench::report
