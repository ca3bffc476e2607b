// SPDX-License-Identifier: Apache-2.0
#include "measure.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <random>
#include <thread>

namespace backplane::bench {

namespace {

int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

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

class Quiet {
 public:
  explicit Quiet(int cores) : cores_(cores) {
    for (int i = 0; i < 20; ++i) best_ = std::min(best_, chain_ns());
  }
  bool now() {
    const double ns = slowest_chain_ns(cores_);
    best_ = std::min(best_, ns);
    return ns * 0.93 <= best_;
  }

 private:
  int cores_;
  double best_ = 1e18;
};

int64_t time_calls(const Call& call, int64_t count) {
  const int64_t start = now_ns();
  for (int64_t i = 0; i < count; ++i) call();
  return now_ns() - start;
}

int64_t calls_per_sample(const Call& call, int64_t sample_ns) {
  call();
  int64_t count = 1;
  while (true) {
    const int64_t ns = time_calls(call, count);
    if (ns >= sample_ns) return count;
    const double grow = static_cast<double>(sample_ns) / static_cast<double>(std::max<int64_t>(ns, 1));
    count = ns * 10 < sample_ns ? count * 10 : static_cast<int64_t>(std::ceil(static_cast<double>(count) * grow * 1.05));
  }
}

}  // namespace

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const double position = q * static_cast<double>(values.size() - 1);
  const size_t low = static_cast<size_t>(position), high = std::min(low + 1, values.size() - 1);
  return values[low] + (position - static_cast<double>(low)) * (values[high] - values[low]);
}

Measurement measure(const std::vector<Call>& contestants, const Options& options) {
  const size_t n = contestants.size();
  std::vector<int64_t> counts;
  for (const Call& call : contestants) counts.push_back(calls_per_sample(call, options.sample_ns));
  Quiet quiet(options.cores);
  std::mt19937 engine(1);
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::vector<std::vector<double>> accepted(n), busy(n);
  Measurement result;
  const int64_t deadline = now_ns() + static_cast<int64_t>(options.budget_s * 1e9);
  const auto rounds_of = [](const auto& samples) { return static_cast<int>(samples.front().size()); };
  while (rounds_of(accepted) < options.rounds && (now_ns() < deadline || rounds_of(accepted) + rounds_of(busy) < 3)) {
    std::shuffle(order.begin(), order.end(), engine);
    std::vector<double> round(n);
    const bool before = quiet.now();
    for (size_t i : order) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      contestants[i]();
      round[i] = static_cast<double>(time_calls(contestants[i], counts[i])) / static_cast<double>(counts[i]);
    }
    const bool ok = quiet.now() && before;
    if (!ok) ++result.rejected;
    for (size_t i = 0; i < n; ++i) (ok ? accepted : busy)[i].push_back(round[i]);
  }
  result.quiet = rounds_of(accepted) >= 3;
  if (!result.quiet) {
    for (size_t i = 0; i < n; ++i) accepted[i].insert(accepted[i].end(), busy[i].begin(), busy[i].end());
  }
  result.rounds = rounds_of(accepted);
  for (const std::vector<double>& samples : accepted) {
    result.of.push_back({quantile(samples, 0.5), quantile(samples, 0.1), quantile(samples, 0.9)});
  }
  return result;
}

}  // namespace backplane::bench
