// SPDX-License-Identifier: Apache-2.0
#include "oracle_race.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "busy.h"

namespace backplane::bench {
namespace {

constexpr int64_t kFirstSightNs = 1'000'000, kLongNs = 20'000'000;
constexpr int kLeastRounds = 8;
constexpr int64_t kLead = 5;  // before a sample go a fifth as many calls, as in the tuner's

struct Racer {
  std::string name;
  std::shared_ptr<Prepared> kernel;
  double first_ns = 0;
  int64_t calls = 1;
  std::vector<double> logs;  // of one call, one per round
};

double time_calls(const Prepared& kernel, int64_t calls) {
  const int64_t start = now_ns();
  for (int64_t i = 0; i < calls; ++i) kernel.enqueue();
  kernel.finish();
  return static_cast<double>(now_ns() - start) / static_cast<double>(calls);
}

bool contains(const std::vector<std::string>& list, const std::string& name) {
  return std::ranges::find(list, name) != list.end();
}

std::vector<Racer> look_at_all(const std::shared_ptr<const Operands>& operands, const std::vector<std::string>& wrong) {
  std::vector<Racer> racers;
  for (const host::Variant& variant : operands->variants()) {
    if (contains(wrong, variant.name)) continue;
    try {
      Racer racer{variant.name, std::make_shared<Prepared>(operands, variant.name), 0, 1, {}};
      racer.kernel->launch();  // drivers build at the first launch
      racer.first_ns = quick_time(racer.kernel->contestant(), kFirstSightNs, kLongNs);
      racers.push_back(std::move(racer));
    } catch (const std::exception&) {
      continue;  // the tuner says so of it, too
    }
  }
  std::ranges::sort(racers, {}, &Racer::first_ns);
  return racers;
}

/// Median of ln(a / b) over rounds first, first + step, ...
double median_ratio(const Racer& a, const Racer& b, size_t first, size_t step) {
  std::vector<double> d;
  for (size_t r = first; r < a.logs.size(); r += step) d.push_back(a.logs[r] - b.logs[r]);
  return quantile(std::move(d), 0.5);
}

void run_rounds(std::vector<Racer*>& running, const OracleOptions& options, uint64_t seed) {
  std::mt19937_64 engine(seed);
  for (Racer* each : running) {
    const auto wanted = static_cast<double>(options.sample_ns);
    each->calls = std::clamp<int64_t>(static_cast<int64_t>(wanted / each->first_ns), 1, 4096);
    time_calls(*each->kernel, each->calls);
  }
  const int64_t end = now_ns() + static_cast<int64_t>(options.budget_s * 1e9);
  for (int round = 0; round < options.rounds && (round < kLeastRounds || now_ns() < end); ++round) {
    std::ranges::shuffle(running, engine);
    for (Racer* each : running) {
      // Of a device that works in the call, workers of the one before may still spin. Nowhere else a pause: behind one,
      // launches of a few microseconds take up to twice as long on PoCL, some variants more than others, while a program
      // replays its launches without any (docs/results/2026-11-22-tuning.md).
      if (each->kernel->operands().stream()->device()->has(BP_DEVICE_SYNCHRONOUS)) settle();
      if (each->calls > 1) time_calls(*each->kernel, (each->calls + kLead - 1) / kLead);  // awake, the caches its own
      each->logs.push_back(std::log(time_calls(*each->kernel, each->calls)));
    }
  }
}

}  // namespace

OracleResult race_all(const std::shared_ptr<const Operands>& operands, const std::vector<std::string>& named,
                      const std::vector<std::string>& wrong, const OracleOptions& options) {
  std::vector<Racer> all = look_at_all(operands, wrong);
  if (all.empty()) throw Error("[sweep] no variant runs");
  std::vector<Racer*> running;
  for (Racer& each : all) {
    if (contains(named, each.name)) running.push_back(&each);
  }
  for (Racer& each : all) {
    const bool close = each.first_ns <= options.chance * all.front().first_ns;
    if (close && running.size() < options.racers && !contains(named, each.name)) running.push_back(&each);
  }
  run_rounds(running, options, 1);
  const Racer* best = running.front();
  for (const Racer* each : running) {
    if (median_ratio(*each, *best, 0, 2) < 0) best = each;
  }
  OracleResult result;
  result.best = best->name;
  result.rounds = static_cast<int>(best->logs.size());
  result.best_ns = std::exp(quantile(best->logs, 0.5));
  for (const Racer& each : all) {
    const bool raced = !each.logs.empty();
    result.raced[each.name] = raced;
    result.ratio[each.name] = raced ? median_ratio(each, *best, 1, 2) : std::log(each.first_ns / best->first_ns);
  }
  return result;
}

}  // namespace backplane::bench
