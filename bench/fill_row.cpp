// SPDX-License-Identifier: Apache-2.0
#include "fill_row.h"

#include <algorithm>
#include <cmath>

#include "backplane/plugin.h"

namespace backplane::bench {

namespace {

using autotune::Verdict;
using report::Status;

Status status_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::raced:
    case Verdict::eliminated:
    case Verdict::slow: return Status::measured;
    case Verdict::wrong:
    case Verdict::overrun:
    case Verdict::changed_inputs:
    case Verdict::nondeterministic: return Status::wrong;
    case Verdict::device_lost: return Status::lost;
    case Verdict::over_budget:
    case Verdict::policy:
    case Verdict::skipped: return Status::skipped;
    default: return Status::failed;
  }
}

}  // namespace

std::optional<report::Interval> quantile_interval(std::vector<double> samples, double q) {
  const auto n = static_cast<double>(samples.size());
  if (samples.size() < 6) return std::nullopt;
  std::ranges::sort(samples);
  // Ranks of a binomial distribution, by its normal approximation, rounded outwards.
  const double reach = 1.96 * std::sqrt(n * q * (1 - q));
  const double low = std::floor(n * q - reach), high = std::ceil(n * q + reach) - 1;
  const auto at = [&](double rank) { return samples[static_cast<size_t>(std::clamp(rank, 0.0, n - 1))]; };
  return report::Interval{at(low), at(high)};
}

std::optional<report::Interval> median_interval(std::vector<double> samples) {
  return quantile_interval(std::move(samples), 0.5);
}

void thin(std::vector<double>& samples, std::vector<int64_t>& stretches, size_t most) {
  const size_t step = (samples.size() + most - 1) / std::max<size_t>(most, 1);
  if (step <= 1) return;
  std::vector<double> kept;
  std::vector<int64_t> lengths;
  size_t at = 0;
  for (int64_t length : stretches) {
    int64_t of_this = 0;
    for (int64_t i = 0; i < length; ++i, ++at) {
      if (at % step != 0) continue;
      kept.push_back(samples[at]);
      ++of_this;
    }
    if (of_this > 0) lengths.push_back(of_this);
  }
  samples = std::move(kept), stretches = std::move(lengths);
}

void fill_times(report::Row& row, const Measurement& m, size_t contestant, report::Clock clock) {
  const Times& times = m.of[contestant];
  row.status = Status::measured;
  row.reason.clear();
  row.samples = static_cast<int>(times.samples_ns.size());
  row.median_ns = times.median_ns;
  row.interval_ns = median_interval(times.samples_ns);
  if (row.samples >= report::kFewestForPercentiles) row.p10_ns = times.p10_ns, row.p90_ns = times.p90_ns;
  row.samples_ns = times.samples_ns;
  row.stretches = m.stretches;
  thin(row.samples_ns, row.stretches, report::kMostSamples);
  row.clock = clock;
  if (clock == report::Clock::device) row.host_median_ns = times.host_ns;
  row.quiet = m.quiet;
}

report::Ratio paired_ratio(const Measurement& m, size_t contestant, size_t base) {
  std::vector<double> logs;
  for (size_t i = 0; i < m.of[contestant].samples_ns.size(); ++i)
    logs.push_back(std::log(m.of[contestant].samples_ns[i] / m.of[base].samples_ns[i]));
  const auto [low, high] = std::ranges::minmax(logs);
  const report::Interval interval = median_interval(logs).value_or(report::Interval{low, high});
  return {std::exp(quantile(logs, 0.5)), {std::exp(interval.low), std::exp(interval.high)}};
}

bool passed_check(const autotune::Candidate& candidate) {
  // The bound is set when the check is over; 0 only of 0, for what has to be exact.
  return is_right(candidate.verdict) || (candidate.verdict == Verdict::over_budget && candidate.allowed > 0);
}

void fill_verdict(report::Row& row, const autotune::Candidate& candidate) {
  row.variant = candidate.variant;
  row.status = passed_check(candidate) ? Status::measured : status_of(candidate.verdict);
  if (row.status != Status::measured)
    row.reason = std::string(name_of(candidate.verdict)) + (candidate.reason.empty() ? "" : ": " + candidate.reason);
  const bool checked = passed_check(candidate) || candidate.verdict == Verdict::wrong || candidate.error > 0;
  if (checked) row.error = candidate.error, row.allowed = candidate.allowed;
  row.fewer_flops = (candidate.numeric_notes & BP_NOTE_WINOGRAD) != 0;
  if (candidate.build_ns > 0) row.compile_ns = static_cast<double>(candidate.build_ns);
}

}  // namespace backplane::bench
