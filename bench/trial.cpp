// SPDX-License-Identifier: Apache-2.0
#include "trial.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <numeric>

#include "busy.h"
#include "rows.h"

namespace backplane::bench {

namespace {

constexpr double kHopeless = 10;        // x the best: not tried, when it would also take long
constexpr double kLongNs = 2e8;
constexpr double kNoChance = 3;         // x the best: not raced
constexpr size_t kRacers = 6;
constexpr double kMargin = 1.02;        // the default is displaced only beyond this
constexpr int64_t kTryNs = 30'000'000'000;

/// What a variant reached on the last case of its op, in flops (or bytes) per nanosecond.
double& speed_of(const std::string& device, const Case& c, const std::string& variant) {
  static std::map<std::string, double> speeds;
  return speeds[device + " " + std::string(c.op->name) + " " + variant];
}

double work_of(const Case& c) { return std::max(c.cost().flops, c.cost().bytes); }

std::string text(const char* format, double a, double b) {
  char buffer[120];
  std::snprintf(buffer, sizeof buffer, format, a, b);
  return buffer;
}

/// Compiles, checks and takes a first look. `best_ns` is that of the right ones before it.
void look_at(Tried& tried, const host::DevicePtr& device, const std::shared_ptr<const Operands>& operands, const Case& c,
             const Expected& right, uint32_t notes, double best_ns) {
  double& speed = speed_of(device->name(), c, tried.name);
  const double guess_ns = speed > 0 ? work_of(c) / speed : 0;
  if (!tried.is_default && guess_ns > kLongNs && guess_ns > kHopeless * best_ns) {
    tried.why = text("by an earlier case %.1f s against %.3f s", guess_ns * 1e-9, best_ns * 1e-9);
    return;
  }
  try {
    const auto kernel = std::make_shared<Prepared>(operands, tried.name);
    operands->poison();
    kernel->launch();
    tried.difference = compare(c, right, operands->outputs(), notes);
    if (!tried.difference.ok()) {
      tried.verdict = Tried::Verdict::wrong;
      tried.why = text("error %.1e, allowed %.1e", tried.difference.error, tried.difference.allowed);
      return;
    }
    const double ns = quick_time(kernel->contestant(), 1'000'000, 20'000'000);
    tried.times = {ns, ns, ns, 0};
    tried.verdict = Tried::Verdict::slow;
    tried.kernel = kernel;
    speed = work_of(c) / ns;
  } catch (const std::exception& error) {
    tried.verdict = Tried::Verdict::failed;
    tried.why = error.what();
  }
}

/// Indices of those that take part: right ones near the best, the default in any case and first.
std::vector<size_t> racers_of(const std::vector<Tried>& tried, double best_ns) {
  std::vector<size_t> chosen;
  // Where one launch takes long, a first look is worth more and a race costs more.
  const double chance = best_ns > 1e9 ? 1.05 : best_ns > 1e8 ? 1.3 : kNoChance;
  for (size_t i = 1; i < tried.size(); ++i) {
    if (tried[i].kernel && tried[i].times.median_ns <= chance * best_ns) chosen.push_back(i);
  }
  std::sort(chosen.begin(), chosen.end(),
            [&](size_t a, size_t b) { return tried[a].times.median_ns < tried[b].times.median_ns; });
  if (chosen.size() > kRacers) chosen.resize(kRacers);
  chosen.insert(chosen.begin(), 0);
  return chosen;
}

}  // namespace

std::string_view name_of(Tried::Verdict verdict) {
  constexpr std::string_view kNames[] = {"raced", "slow", "wrong", "failed", "skipped"};
  return kNames[static_cast<size_t>(verdict)];
}

int Trial::count(Tried::Verdict verdict) const {
  return static_cast<int>(
      std::count_if(tried.begin(), tried.end(), [&](const Tried& t) { return t.verdict == verdict; }));
}

std::string Trial::list(Tried::Verdict verdict) const {
  std::string names;
  for (const Tried& t : tried) {
    if (t.verdict == verdict) names += (names.empty() ? "" : "; ") + t.name + (t.why.empty() ? "" : " (" + t.why + ")");
  }
  return names;
}

Trial try_variants(const host::DevicePtr& device, const Case& c, const std::vector<std::vector<std::byte>>& values) {
  const auto operands = std::make_shared<Operands>(device, c, values);
  const Expected right = expected(c, values);
  std::vector<host::Variant> variants = operands->variants();
  std::stable_partition(variants.begin(), variants.end(),
                        [](const host::Variant& v) { return (v.flags & BP_VARIANT_DEFAULT) != 0; });
  Trial trial;
  trial.checked_by = right.by;
  double best_ns = 1e300;
  const int64_t deadline = now_ns() + kTryNs;
  for (const host::Variant& variant : variants) {
    Tried& tried = trial.tried.emplace_back();
    tried.name = variant.name;
    tried.is_default = trial.tried.size() == 1;
    tried.why = "no time left for it";
    if (!tried.is_default && now_ns() > deadline) continue;
    tried.why.clear();
    look_at(tried, device, operands, c, right, variant.numeric_notes, best_ns);
    if (tried.kernel) best_ns = std::min(best_ns, tried.times.median_ns);
    if (tried.is_default && !tried.kernel)
      throw Error("[" + std::string(c.op->name) + "] the default " + tried.name + " is " +
                  std::string(name_of(tried.verdict)) + ": " + tried.why);
  }
  trial.raced = racers_of(trial.tried, best_ns);
  std::vector<Contestant> contestants;
  for (size_t i : trial.raced) contestants.push_back(trial.tried[i].kernel->contestant());
  trial.race = measure(contestants, {.rounds = 9, .budget_s = 3, .cores = cores_used()});
  for (size_t i = 0; i < trial.raced.size(); ++i) {
    trial.tried[trial.raced[i]].times = trial.race.of[i];
    trial.tried[trial.raced[i]].verdict = Tried::Verdict::raced;
  }
  const auto time = [&](size_t i) { return trial.tried[i].times.median_ns; };
  for (size_t i : trial.raced) {
    if (time(i) < time(trial.best)) trial.best = i;
  }
  if (time(0) <= kMargin * time(trial.best)) trial.best = 0;
  return trial;
}

}  // namespace backplane::bench
