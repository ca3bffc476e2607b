// SPDX-License-Identifier: Apache-2.0
#include "measure.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "busy.h"
#include "core_clock.h"
#include "turns.h"

namespace backplane::bench {

namespace {

constexpr int64_t kWindowNs = 250'000'000;
constexpr int64_t kTurnNs = 12'000'000;  // a window where two processes take turns, and a sample there
constexpr int64_t kTurnSampleNs = 1'000'000;
constexpr int64_t kFewestTurns = 4, kMostTurns = 80;

/// Of all the calls together.
struct Timing {
  int64_t host_ns = 0;
  double counted_ns = 0;  ///< by the clock that counts
};

Timing time_batch(const Contestant& contestant, int64_t count) {
  DeviceClock* const clock = contestant.clock;
  const int64_t start = now_ns();
  if (clock != nullptr) clock->start();
  const int64_t calls = std::llround(static_cast<double>(count) * contestant.repeat);
  for (int64_t i = 0; i < calls; ++i) contestant.call();
  if (clock != nullptr) clock->stop();
  if (contestant.finish) contestant.finish();
  const int64_t host = now_ns() - start;
  return {host, clock != nullptr ? clock->ns() : static_cast<double>(host)};
}

int64_t time_calls(const Contestant& contestant, int64_t count) { return time_batch(contestant, count).host_ns; }

/// How many calls make a sample; the calls that it takes to find out are the warm-up.
int64_t calls_per_sample(const Contestant& contestant, int64_t sample_ns) {
  if (contestant.repeat != 1) {
    // So many that the repeated ones are a whole number of them, to a tenth.
    const int64_t tens = (calls_per_sample({contestant.call, contestant.finish, contestant.clock}, sample_ns) + 9) / 10;
    return 10 * tens;
  }
  if (time_calls(contestant, 1) > 10 * sample_ns) return 1;
  int64_t count = 1;
  while (true) {
    int64_t ns = time_calls(contestant, count);
    // One interruption must not make a sample of one call.
    for (int i = 0; i < 3 && ns >= sample_ns; ++i) ns = std::min(ns, time_calls(contestant, count));
    if (ns >= sample_ns) return count;
    const double grow = static_cast<double>(sample_ns) / static_cast<double>(std::max<int64_t>(ns, 1));
    count =
        ns * 10 < sample_ns ? count * 10 : static_cast<int64_t>(std::ceil(static_cast<double>(count) * grow * 1.05));
  }
}

std::vector<int64_t> calls_of_all(const std::vector<Contestant>& contestants, int64_t sample_ns) {
  std::vector<int64_t> counts;
  for (const Contestant& each : contestants) counts.push_back(calls_per_sample(each, sample_ns));
  return counts;
}

/// The same number for both processes; where there are several, a tenth more is a whole number, too.
std::vector<int64_t> agreed_calls(const std::vector<Contestant>& contestants, Turns& turns) {
  return turns.agreed([&] {
    std::vector<int64_t> counts;
    for (const Contestant& each : contestants) {
      const int64_t plain = calls_per_sample({each.call, each.finish, each.clock}, kTurnSampleNs);
      counts.push_back(plain > 1 ? (plain + 9) / 10 * 10 : 1);
    }
    return counts;
  });
}

/// Samples of one contestant, of one call each.
struct Samples {
  std::vector<double> counted, host, cpu;
  void add(const Samples& other) {
    counted.insert(counted.end(), other.counted.begin(), other.counted.end());
    host.insert(host.end(), other.host.begin(), other.host.end());
    cpu.insert(cpu.end(), other.cpu.begin(), other.cpu.end());
  }
};
using Round = std::vector<Samples>;  // one per contestant

class Race {
 public:
  Race(const std::vector<Contestant>& contestants, std::vector<int64_t> counts, int cores)
      : contestants_(contestants), counts_(std::move(counts)), clock_(cores), order_(contestants.size()) {
    std::iota(order_.begin(), order_.end(), size_t{0});
  }

  /// All contestants once, in random order. True when the cores ran at full speed.
  bool run_round(Round& into) {
    std::shuffle(order_.begin(), order_.end(), engine_);
    into.resize(contestants_.size());
    settle();
    const bool before = clock_.is_full();
    for (size_t i : order_) {
      settle();
      const Contestant& contestant = contestants_[i];
      if (counts_[i] > 1) time_calls(contestant, 1);  // wakes its threads and fills the caches
      const int64_t cpu = process_cpu_ns();
      const auto count = static_cast<double>(counts_[i]);
      const Timing timing = time_batch(contestant, counts_[i]);
      into[i].add({{timing.counted_ns / count},
                   {static_cast<double>(timing.host_ns) / count},
                   {static_cast<double>(process_cpu_ns() - cpu) / count}});
    }
    settle();
    return clock_.is_full() && before;
  }

 private:
  const std::vector<Contestant>& contestants_;
  std::vector<int64_t> counts_;  // calls that make a sample
  CoreClock clock_;
  std::vector<size_t> order_;
  std::mt19937 engine_{1};
};

std::vector<Times> times_of(const Round& samples) {
  std::vector<Times> times;
  for (const Samples& s : samples) {
    times.push_back({quantile(s.counted, 0.5), quantile(s.counted, 0.1), quantile(s.counted, 0.9),
                     quantile(s.host, 0.5), quantile(s.cpu, 0.5), s.counted});
  }
  return times;
}

void add_to(Round& all, const Round& round) {
  for (size_t i = 0; i < round.size(); ++i) all[i].add(round[i]);
}

Measurement measure_in_turns(const std::vector<Contestant>& contestants, const Options& options) {
  Turns& turns = *options.turns;
  turns.take();
  Race race(contestants, agreed_calls(contestants, turns), options.cores);
  settle();
  turns.pass();
  Measurement result;
  Round all(contestants.size());
  const auto time_ns = static_cast<int64_t>(options.budget_s * 1e9);
  const int64_t windows = std::clamp(time_ns / 2 / kTurnNs, kFewestTurns, kMostTurns);
  const int64_t deadline = now_ns() + 2 * time_ns;
  for (int64_t w = 0; w < windows && (w < kFewestTurns || now_ns() < deadline); ++w) {
    if (w > 0) turns.pass();
    turns.take();
    result.stretches.push_back(0);
    const int64_t end = now_ns() + kTurnNs;
    do {
      Round round;
      race.run_round(round);
      add_to(all, round);
      ++result.rounds, ++result.stretches.back();
    } while (now_ns() < end);
  }
  turns.leave();
  result.of = times_of(all);
  return result;
}

}  // namespace

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const double position = q * static_cast<double>(values.size() - 1);
  const size_t low = static_cast<size_t>(position), high = std::min(low + 1, values.size() - 1);
  return values[low] + (position - static_cast<double>(low)) * (values[high] - values[low]);
}

Measurement measure(const std::vector<Contestant>& contestants, const Options& options) {
  if (options.turns != nullptr && options.turns->meet(options.name)) return measure_in_turns(contestants, options);
  Race race(contestants, calls_of_all(contestants, options.sample_ns), options.cores);
  Round accepted(contestants.size()), busy(contestants.size());
  Measurement result;
  std::vector<int64_t> of_busy;
  const int64_t deadline = now_ns() + static_cast<int64_t>(options.budget_s * 1e9);
  while (result.rounds < options.rounds && (now_ns() < deadline || result.rounds + result.rejected < 3)) {
    std::vector<std::pair<bool, Round>> window;
    settle();
    const std::optional<Moment> start = Moment::now();
    const int64_t end = now_ns() + kWindowNs;
    do {
      Round round;
      const bool full = race.run_round(round);
      window.emplace_back(full, std::move(round));
    } while (now_ns() < std::min(end, deadline));
    const std::optional<Moment> stop = Moment::now();
    const bool alone = !start || !stop || others_ns(*start, *stop) <= others_allowed_ns(*start, *stop);
    const int before = result.rounds;
    for (const auto& [full, round] : window) {
      (full && alone ? result.rounds : result.rejected) += 1;
      add_to(full && alone ? accepted : busy, round);
    }
    const int used = result.rounds - before, left = static_cast<int>(window.size()) - used;
    if (used > 0) result.stretches.push_back(used);
    if (left > 0) of_busy.push_back(left);
  }
  result.quiet = result.rounds >= 3;
  if (!result.quiet) {
    add_to(accepted, busy);
    result.stretches.insert(result.stretches.end(), of_busy.begin(), of_busy.end());
    result.rounds += result.rejected;
    result.rejected = 0;
  }
  result.of = times_of(accepted);
  return result;
}

double quick_time(const Contestant& contestant, int64_t sample_ns, int64_t enough_ns) {
  const int64_t first = time_calls(contestant, 1);
  if (first > enough_ns) return static_cast<double>(first);
  constexpr int kBatches = 4;
  const int64_t count = std::max<int64_t>(1, sample_ns / kBatches / std::max<int64_t>(first, 1));
  double best = 1e300;
  for (int i = 0; i < kBatches; ++i)
    best = std::min(best, static_cast<double>(time_calls(contestant, count)) / static_cast<double>(count));
  return best;
}

}  // namespace backplane::bench
