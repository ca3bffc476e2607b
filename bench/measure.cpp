// SPDX-License-Identifier: Apache-2.0
#include "measure.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <thread>

#include "busy.h"

namespace backplane::bench {

namespace {

constexpr int64_t kWindowNs = 250'000'000;

/// Nanoseconds of a chain of dependent additions: core clock and nothing else.
double chain_ns() {
  constexpr int kLength = 100'000;
  uint64_t x = 1;
  const int64_t start = now_ns();
  for (int i = 0; i < kLength; ++i) asm volatile("add $1, %0" : "+r"(x));
  return static_cast<double>(now_ns() - start);
}

/// The slowest core's chain; the threads run at the same time, so that each needs a core of its own.
double slowest_chain_ns(int cores) {
  std::vector<double> times(static_cast<size_t>(cores));
  std::vector<std::thread> threads;
  for (int i = 1; i < cores; ++i) threads.emplace_back([&times, i] { times[static_cast<size_t>(i)] = chain_ns(); });
  times[0] = chain_ns();
  for (std::thread& thread : threads) thread.join();
  return *std::max_element(times.begin(), times.end());
}

class Clock {
 public:
  explicit Clock(int cores) : cores_(cores) {
    for (int i = 0; i < 20; ++i) best_ = std::min(best_, chain_ns());
  }
  /// Every core runs at full speed.
  bool is_full() {
    const double ns = slowest_chain_ns(cores_);
    best_ = std::min(best_, ns);
    return ns * 0.93 <= best_;
  }

 private:
  int cores_;
  double best_ = 1e18;
};

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
  Race(const std::vector<Contestant>& contestants, const Options& options)
      : contestants_(contestants), clock_(options.cores), order_(contestants.size()) {
    for (const Contestant& c : contestants) counts_.push_back(calls_per_sample(c, options.sample_ns));
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
  Clock clock_;
  std::vector<size_t> order_;
  std::vector<int64_t> counts_;
  std::mt19937 engine_{1};
};

}  // namespace

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const double position = q * static_cast<double>(values.size() - 1);
  const size_t low = static_cast<size_t>(position), high = std::min(low + 1, values.size() - 1);
  return values[low] + (position - static_cast<double>(low)) * (values[high] - values[low]);
}

Measurement measure(const std::vector<Contestant>& contestants, const Options& options) {
  Race race(contestants, options);
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
      for (size_t i = 0; i < round.size(); ++i) (full && alone ? accepted : busy)[i].add(round[i]);
    }
    const int used = result.rounds - before, left = static_cast<int>(window.size()) - used;
    if (used > 0) result.stretches.push_back(used);
    if (left > 0) of_busy.push_back(left);
  }
  result.quiet = result.rounds >= 3;
  if (!result.quiet) {
    for (size_t i = 0; i < accepted.size(); ++i) accepted[i].add(busy[i]);
    result.stretches.insert(result.stretches.end(), of_busy.begin(), of_busy.end());
    result.rounds += result.rejected;
    result.rejected = 0;
  }
  for (const Samples& s : accepted) {
    result.of.push_back({quantile(s.counted, 0.5), quantile(s.counted, 0.1), quantile(s.counted, 0.9),
                         quantile(s.host, 0.5), quantile(s.cpu, 0.5), s.counted});
  }
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
