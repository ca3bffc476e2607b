// SPDX-License-Identifier: Apache-2.0
#include "device_course.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace backplane::autotune {
namespace {

constexpr uint32_t kMaxLaunches = 4096;  // of a sample
// Before a sample, of its length: what a sleeping device and cold caches cost is not measured. On PoCL a gain of 7.9 %
// of a product looked like 4.9 % without it, and errors were 12 to 19 % less in four of five problems with 300 us of it
// (docs/results/2026-11-22-tuning.md).
constexpr double kLeadShare = 0.2, kLeastLeadNs = 50e3;
constexpr double kWarmWindowNs = 10e6, kWarmShare = 0.1, kWarmAgreement = 0.02;

}  // namespace

bool DeviceCourse::fits(double ns, int64_t deadline_ns) const {
  if (hung_ || lost_) return false;
  if (request_.cancelled != nullptr && request_.cancelled->load(std::memory_order_relaxed)) return false;
  return static_cast<double>(now_()) + ns <= static_cast<double>(deadline_ns);
}

bool DeviceCourse::calibrate(Entry& entry, int64_t deadline_ns) {
  uint32_t launches = 1;
  while (true) {
    if (!fits(entry.ns * launches, deadline_ns)) return false;
    const double total = rig_.time(*entry.kernel, launches);
    entry.ns = std::max(total, rig_.resolution_ns() / 2) / launches;
    if (total >= sample_ns_ / 2 || launches >= kMaxLaunches) break;
    // A short first look may be far off: grow in steps.
    launches = std::min({kMaxLaunches, launches * 16, static_cast<uint32_t>(std::ceil(sample_ns_ / entry.ns))});
  }
  entry.launches = launches_of(entry.ns);
  return true;
}

uint32_t DeviceCourse::launches_of(double launch_ns) const {
  return static_cast<uint32_t>(std::clamp(std::ceil(sample_ns_ / launch_ns), 1.0, static_cast<double>(kMaxLaunches)));
}

/// Launches that go before those of a sample.
uint32_t DeviceCourse::lead_of(const Entry& entry) const {
  if (entry.launches < 2) return 0;  // it would double the time
  const double wanted_ns = std::max(kLeastLeadNs, kLeadShare * sample_ns_);
  return static_cast<uint32_t>(std::clamp(std::ceil(wanted_ns / entry.ns), 1.0, static_cast<double>(entry.launches)));
}

void DeviceCourse::aim(double sample_ns) {
  sample_ns_ = sample_ns;
  for (Entry& entry : entries_) {
    if (entry.launches != 0) entry.launches = launches_of(entry.ns);
  }
}

void DeviceCourse::warm_up(size_t i, int64_t deadline_ns) {
  Entry& entry = entries_[i];
  const int64_t now = now_();
  const double share = static_cast<double>(deadline_ns - now) * kWarmShare;
  const int64_t end = now + static_cast<int64_t>(std::min(share, 300e6));
  if (!calibrate(entry, end)) return;
  double before = 0;
  while (true) {
    const auto launches =
        static_cast<uint32_t>(std::clamp(kWarmWindowNs / entry.ns, 1.0, static_cast<double>(kMaxLaunches)));
    if (!fits(entry.ns * launches, end)) return;
    entry.ns = rig_.time(*entry.kernel, launches) / launches;
    if (std::fabs(entry.ns - before) <= kWarmAgreement * before) return;
    before = entry.ns;
  }
}

Course::Sample DeviceCourse::sample(size_t i, int64_t deadline_ns) {
  Entry& entry = entries_[i];
  try {
    if (entry.launches == 0 && !calibrate(entry, deadline_ns)) return {State::no_time, 0, Verdict::over_budget, {}};
    const uint32_t lead = lead_of(entry);
    if (!fits(entry.ns * (lead + entry.launches), deadline_ns)) return {State::no_time, 0, Verdict::over_budget, {}};
    const double ns = rig_.time(*entry.kernel, entry.launches, lead) / entry.launches;
    if (ns > 0) entry.ns = ns;
    return {State::timed, distorted(i, ns), Verdict::raced, {}};
  } catch (const Fault& fault) {
    if (fault.verdict == Verdict::hung) {
      hung_ = true;
      keep_for_ever(entry.kernel);
    }
    lost_ = lost_ || fault.verdict == Verdict::device_lost;
    return {State::failed, 0, fault.verdict, fault.reason};
  }
}

void DeviceCourse::on_round(const char* stage, uint32_t done, uint32_t of) {
  if (request_.progress) request_.progress({stage, "", done, of, static_cast<uint64_t>(now_()), request_.budget_ns});
}

double DeviceCourse::distorted(size_t i, double ns) const {
  switch (request_.distortion) {
    case Distortion::none: return ns;
    case Distortion::inverse: return 1e12 / std::max(ns, 1.0);
    case Distortion::random: {
      std::mt19937_64 engine(request_.seed * 1000003 + i);
      return ns * std::exp(std::uniform_real_distribution<double>(-2, 2)(engine));
    }
  }
  return ns;
}

}  // namespace backplane::autotune
