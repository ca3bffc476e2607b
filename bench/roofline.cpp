// SPDX-License-Identifier: Apache-2.0
#include "roofline.h"

#include <algorithm>

namespace backplane::bench {

using report::Bound;
using report::Ceiling;
using report::CeilingKind;

double Limit::least_ns() const { return std::max({compute_ns, memory_ns, launch_ns}); }

Bound Limit::bound() const {
  const double least = least_ns();
  if (least <= 0) return Bound::unknown;
  return least == launch_ns ? Bound::launch : least == memory_ns ? Bound::memory : Bound::compute;
}

Roofline::Roofline(const std::vector<Ceiling>& ceilings, const std::string& device) {
  for (const Ceiling& each : ceilings) {
    if (each.device == device && each.value > 0) ceilings_.push_back(each);
  }
}

std::optional<double> Roofline::gflops(const std::string& dtype) const {
  std::optional<double> best;
  for (const Ceiling& each : ceilings_) {
    const bool arithmetic = each.kind == CeilingKind::fma || each.kind == CeilingKind::matrix;
    if (arithmetic && each.dtype == dtype) best = std::max(best.value_or(0), each.value);
  }
  return best || dtype == "f32" ? best : gflops("f32");
}

std::optional<double> Roofline::gbytes(double working_set) const {
  std::optional<double> best, of_largest;
  int64_t largest = -1;
  for (const Ceiling& each : ceilings_) {
    if (each.working_set_bytes == 0) continue;
    if (static_cast<double>(each.working_set_bytes) >= working_set) best = std::max(best.value_or(0), each.value);
    if (each.working_set_bytes > largest) largest = each.working_set_bytes, of_largest.reset();
    if (each.working_set_bytes == largest) of_largest = std::max(of_largest.value_or(0), each.value);
  }
  return best ? best : of_largest;
}

Limit Roofline::limit(const report::Row& row) const {
  Limit limit;
  const auto rate = gflops(row.dtype), bandwidth = gbytes(row.bytes.value_or(0));
  if (row.flops && rate) limit.compute_ns = *row.flops / *rate;
  if (row.bytes && bandwidth) limit.memory_ns = *row.bytes / *bandwidth;
  for (const Ceiling& each : ceilings_) {
    if (each.kind == CeilingKind::launch) limit.launch_ns = each.value;
  }
  return limit;
}

void Roofline::judge(report::Row& row) const {
  if (!row.median_ns || (!row.flops && !row.bytes)) return;
  const Limit limits = limit(row);
  if (limits.bound() == Bound::unknown) return;
  row.bound = limits.bound();
  row.roofline_share = limits.least_ns() / *row.median_ns;
}

}  // namespace backplane::bench
