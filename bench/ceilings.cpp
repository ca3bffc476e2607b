// SPDX-License-Identifier: Apache-2.0
#include "ceilings.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "backplane/autotune/race.h"
#include "backplane/host/error.h"
#include "busy.h"
#include "ceiling_probes.h"
#include "fill_row.h"

namespace backplane::bench {

namespace {

using report::Ceiling;
using report::CeilingKind;

// Bytes, read and written together.
constexpr int64_t kWorkingSets[] = {64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20, 256 << 20, 512 << 20};
constexpr int64_t kScouted[] = {256 << 10, 4 << 20};  // where all kernels and variants are looked at
constexpr int64_t kAllKernelsUpTo = 4 << 20;  // beyond, only the fastest of each kind: filling memory takes long
constexpr int64_t kLargestOnHost = 256 << 20;
constexpr int64_t kLongLaunchNs = 20'000'000;  // larger problems of a kind are left out: they would take minutes
constexpr int64_t kElements[] = {64 << 10, 1 << 20, 16 << 20};
constexpr size_t kKept = 2;        // kernels of each kind that are measured, of those that were looked at together
constexpr double kShown = 0.1;     // the percentile of the times that is the ceiling
constexpr int kParts = 64;         // of the time for a device: one for each tuning, two for each measurement

using Selected = std::pair<size_t, std::string>;  // a probe by its place in the list, and its variant

class Prober {
 public:
  Prober(const host::DevicePtr& device, const Allowance& allowance)
      : device_(device), allowance_(allowance), stamps_(device_clock(graph::Stream::of(device))) {}

  /// From now on until this share of the time for all is used up.
  void begin_part(double until) {
    part_end_ns_ = start_ns_ + static_cast<int64_t>(until * allowance_.total_s * 1e9);
  }
  bool in_time() const { return now_ns() < part_end_ns_; }

  /// Of each kind those variants that did most a second, among those that are right.
  std::set<Selected> fastest(const std::vector<Probe>& probes) const {
    std::map<CeilingKind, std::vector<std::pair<double, Selected>>> by_kind;
    for (size_t i = 0; i < probes.size(); ++i) {
      for (const auto& [ns, variant] : right_variants(probes[i])) {
        const double rate = (probes[i].work > 0 ? probes[i].work : 1) / ns;
        by_kind[probes[i].kind].push_back({rate, {i, variant}});
      }
    }
    std::set<Selected> selected;
    for (auto& [kind, list] : by_kind) {
      std::ranges::sort(list, std::greater());
      for (size_t i = 0; i < std::min(kKept, list.size()); ++i) selected.insert(list[i].second);
    }
    return selected;
  }

  /// Measures them interleaved; returns those that were the fastest of their kind.
  std::set<Selected> measure(const std::vector<Probe>& probes, const std::set<Selected>& selected, DType dtype) {
    std::vector<Selected> used;
    std::vector<std::unique_ptr<Prepared>> kernels;
    std::vector<Contestant> contestants;
    std::map<CeilingKind, int64_t> launch_ns;
    for (const Selected& each : selected) {
      const auto& [i, variant] = each;
      if (launch_ns_[probes[i].kind] > kLongLaunchNs) continue;
      try {
        auto operands = std::make_shared<Operands>(device_, probes[i].op, some_values(probes[i].op));
        kernels.push_back(std::make_unique<Prepared>(std::move(operands), variant));
      } catch (const Error&) {
        continue;  // this size is refused
      } catch (const host::Error& error) {
        if (error.scope() >= BP_SCOPE_DEVICE) throw;
        continue;
      }
      contestants.push_back(kernels.back()->contestant(stamps_.get()));
      used.push_back(each);
      const int64_t start = now_ns();
      kernels.back()->launch();
      launch_ns[probes[i].kind] = std::max(launch_ns[probes[i].kind], now_ns() - start);
    }
    for (const auto& [kind, ns] : launch_ns) launch_ns_[kind] = ns;
    if (used.empty()) return {};
    const double budget_s = 2 * allowance_.total_s / kParts;
    const Measurement m = bench::measure(contestants, {.budget_s = budget_s, .cores = allowance_.cores});
    std::map<CeilingKind, std::pair<double, Selected>> winners;
    for (size_t n = 0; n < used.size(); ++n) {
      const Probe& probe = probes[used[n].first];
      add(probe, m.of[n], dtype);
      auto& [least, winner] = winners.try_emplace(probe.kind, INFINITY, used[n]).first->second;
      if (m.of[n].p10_ns < least) least = m.of[n].p10_ns, winner = used[n];
    }
    graph::Stream::of(device_)->trim();
    std::set<Selected> best;
    for (const auto& [kind, winner] : winners) best.insert(winner.second);
    return best;
  }

  bool does(const host::KernelOp& op) const {
    return op.with_op([&](const bp_op& raw) { return device_->query(raw).verdict == BP_SUPPORT_YES; });
  }
  std::vector<Ceiling> found() const { return found_; }

 private:
  /// With their times. Right means here: they agree with the default, which is always among them.
  std::vector<std::pair<double, std::string>> right_variants(const Probe& probe) const {
    if (!does(probe.op)) return {};
    if (!in_time()) return {{INFINITY, ""}};  // the default, where nothing else of its kind was looked at
    autotune::Request request;
    request.budget_ns = static_cast<uint64_t>(allowance_.total_s / kParts * 1e9);
    // Where kernels have to be built, but not beyond this part's end.
    const auto most_ns = 4 * static_cast<int64_t>(request.budget_ns) + 200'000'000;
    request.total_ns = static_cast<uint64_t>(std::clamp<int64_t>(part_end_ns_ - now_ns(), 50'000'000, most_ns));
    request.inputs = some_values(probe.op);
    request.cancelled = allowance_.cancelled;
    const autotune::Outcome outcome =
        probe.op.with_op([&](const bp_op& raw) { return autotune::tune(device_, raw, request); });
    std::vector<std::pair<double, std::string>> list;
    for (const autotune::Candidate& each : outcome.candidates) {
      if (is_right(each.verdict) && each.times.samples > 0) list.emplace_back(each.times.median_ns, each.variant);
    }
    if (list.empty()) list.emplace_back(INFINITY, "");  // there was no time to race: the default has to do
    return list;
  }

  void add(const Probe& probe, const Times& times, DType dtype) {
    const auto value = [&](double ns) { return probe.work > 0 ? probe.work / ns : ns; };
    Ceiling c{device_->name(), "", probe.kind, probe.working_set, value(times.p10_ns), "ns", std::nullopt};
    if (probe.work > 0) c.unit = probe.working_set > 0 ? "GB/s" : "GFLOP/s";
    if (probe.working_set == 0 && probe.work > 0) c.dtype = name_of(dtype);
    if (const auto interval = quantile_interval(times.samples_ns, kShown)) {
      const double ends[] = {value(interval->low), value(interval->high)};
      c.interval = report::Interval{std::min(ends[0], ends[1]), std::max(ends[0], ends[1])};
    }
    for (Ceiling& known : found_) {
      if (known.kind != c.kind || known.dtype != c.dtype || known.working_set_bytes != c.working_set_bytes) continue;
      const bool better = probe.work > 0 ? known.value < c.value : known.value > c.value;
      if (better) known = c;
      return;
    }
    found_.push_back(std::move(c));
  }

  const host::DevicePtr& device_;
  const Allowance& allowance_;
  const int64_t start_ns_ = now_ns();
  int64_t part_end_ns_ = start_ns_;
  std::unique_ptr<DeviceClock> stamps_;  ///< the clock that rows have, too
  std::vector<Ceiling> found_;
  std::map<CeilingKind, int64_t> launch_ns_;  ///< the latest of each kind
};

/// Up to the first working set that is not smaller than `largest`, or for which there is no time.
void measure_bandwidth(Prober& prober, bool on_host, double largest) {
  std::set<Selected> selected;
  for (int64_t bytes : kScouted) selected.merge(prober.fastest(bandwidth_probes(bytes)));
  for (int64_t bytes : kWorkingSets) {
    if (on_host && bytes > kLargestOnHost) break;
    const std::set<Selected> best = prober.measure(bandwidth_probes(bytes), selected, DType::f32);
    if (bytes >= kAllKernelsUpTo) selected = best;
    if (static_cast<double>(bytes) >= largest || !prober.in_time()) break;
  }
}

void measure_arithmetic(Prober& prober, DType dtype) {
  const std::set<Selected> chains = prober.fastest(arithmetic_probes(kElements[1], dtype));
  for (int64_t elements : kElements) {
    prober.measure(arithmetic_probes(elements, dtype), chains, dtype);
    if (!prober.in_time()) break;
  }
}

/// Products that are large for this device: one launch of the largest takes `kLongEnoughNs` or somewhat more.
void measure_products(Prober& prober, const host::DevicePtr& device, DType dtype) {
  constexpr int64_t kFirst = 128, kLast = 8192, kLongEnoughNs = 2'000'000;
  Probe large = square_product(kFirst, dtype), smaller = large;
  if (!prober.does(large.op)) return;
  for (int64_t side = kFirst; side < kLast; side *= 2) {
    const Prepared usual(std::make_shared<Operands>(device, large.op, some_values(large.op)));
    const int64_t start = now_ns();
    usual.launch();
    if (now_ns() - start >= kLongEnoughNs) break;
    smaller = std::move(large);
    large = square_product(2 * side, dtype);
  }
  const std::vector<Probe> probes = {std::move(smaller), std::move(large)};
  prober.measure(probes, prober.fastest(probes), dtype);
}

}  // namespace

Asked asked_of(const host::DevicePtr& device, const std::vector<std::unique_ptr<Job>>& jobs) {
  Asked asked;
  for (const auto& job : jobs) {
    for (const report::Row& row : job->rows()) {
      if (job->device() != device || row.status != report::Status::unmeasured) continue;
      asked.dtypes.insert(row.dtype);
      asked.largest_working_set = std::max(asked.largest_working_set, row.bytes.value_or(0));
    }
  }
  return asked;
}

std::vector<Ceiling> measure_ceilings(const host::DevicePtr& device, const Asked& asked, const Allowance& allowance) {
  Prober prober(device, allowance);
  prober.begin_part(0.1);
  prober.measure(launch_probes(), prober.fastest(launch_probes()), DType::f32);
  const bool on_host = device->info().kind == BP_KIND_CPU || device->has(BP_DEVICE_SOFTWARE);
  prober.begin_part(0.6);
  measure_bandwidth(prober, on_host, asked.largest_working_set);
  std::set<std::string> dtypes = asked.dtypes;
  dtypes.insert("f32");
  std::erase_if(dtypes, [](const std::string& name) { return !is_float(dtype_from_name(name)); });
  double until = 0.6;
  for (const std::string& name : dtypes) {
    const double part = 0.2 / static_cast<double>(dtypes.size());
    prober.begin_part(until += part);
    measure_products(prober, device, dtype_from_name(name));
    prober.begin_part(until += part);
    measure_arithmetic(prober, dtype_from_name(name));
  }
  return prober.found();
}

}  // namespace backplane::bench
