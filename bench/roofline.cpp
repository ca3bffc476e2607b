// SPDX-License-Identifier: Apache-2.0
#include "roofline.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <ranges>

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
  std::map<double, double> best;  // by the bytes of the working set
  for (const Ceiling& each : ceilings_) {
    double& rate = best[static_cast<double>(each.working_set_bytes)];
    if (report::is_bandwidth(each.kind)) rate = std::max(rate, each.value);
  }
  best.erase(0);
  if (best.empty()) return std::nullopt;
  // A smaller working set is not slower, but for what a launch costs, and that is a ceiling of its own.
  double least = 0;
  for (auto& [bytes, rate] : best | std::views::reverse) least = rate = std::max(rate, least);
  const auto above = best.lower_bound(working_set);
  if (above == best.begin()) return above->second;
  const auto below = std::prev(above);
  if (above == best.end()) return below->second;
  const double part = std::log(working_set / below->first) / std::log(above->first / below->first);
  return below->second * std::pow(above->second / below->second, part);
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

void raise_to_rows(std::vector<Ceiling>& ceilings, const std::vector<report::Row>& rows) {
  for (const report::Row& row : rows) {
    const auto of_device = [&](const Ceiling& each) { return each.device == row.device; };
    if (!row.median_ns || row.choice == report::Choice::peer || std::ranges::none_of(ceilings, of_device)) continue;
    const double ns = *row.median_ns;
    const Limit limit = Roofline(ceilings, row.device).limit(row);
    const auto raise = [&](Ceiling to) {
      std::erase_if(ceilings, [&](const Ceiling& each) {
        return of_device(each) && each.kind == to.kind && each.dtype == to.dtype &&
               each.working_set_bytes == to.working_set_bytes;
      });
      ceilings.push_back(std::move(to));
    };
    if (limit.launch_ns > ns && (row.flops || row.bytes))
      raise({row.device, "", CeilingKind::launch, 0, ns, "ns", row.interval_ns});
    if (limit.compute_ns > ns && !row.fewer_flops)
      raise({row.device, row.dtype, CeilingKind::matrix, 0, *row.flops / ns, "GFLOP/s", std::nullopt});
    if (limit.memory_ns > ns) {
      const auto bytes = static_cast<int64_t>(*row.bytes);
      raise({row.device, "", CeilingKind::copy, bytes, *row.bytes / ns, "GB/s", std::nullopt});
    }
  }
}

void Roofline::judge(report::Row& row) const {
  // What another library does is not held to ceilings that were measured with this device's kernels.
  if (!row.median_ns || (!row.flops && !row.bytes) || row.choice == report::Choice::peer) return;
  const Limit limits = limit(row);
  if (limits.bound() == Bound::unknown) return;
  row.bound = limits.bound();
  row.roofline_share = limits.least_ns() / *row.median_ns;
}

}  // namespace backplane::bench
