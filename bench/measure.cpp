// SPDX-License-Identifier: Apache-2.0
#include "measure.h"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>
#include <thread>

namespace backplane::bench {

namespace {

int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// Processor time of all threads of this process.
int64_t cpu_now_ns() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec * int64_t{1'000'000'000} + t.tv_nsec;
}

/// How long threads of this process have been ready to run without a processor, in all; 0 where Linux does not say.
int64_t waited_ns() {
  int64_t total = 0;
  std::error_code none;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", none)) {
    int64_t ran = 0, waited = 0;
    if (std::ifstream(task.path() / "schedstat") >> ran >> waited) total += waited;
  }
  return total;
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
    count =
        ns * 10 < sample_ns ? count * 10 : static_cast<int64_t>(std::ceil(static_cast<double>(count) * grow * 1.05));
  }
}

}  // namespace

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const double position = q * static_cast<double>(values.size() - 1);
  const size_t low = static_cast<size_t>(position), high = std::min(low + 1, values.size() - 1);
  return values[low] + (position - static_cast<double>(low)) * (values[high] - values[low]);
}

namespace {

/// Samples of one contestant, of one call each.
struct Samples {
  std::vector<double> wall, cpu;
  void add(const Samples& other) {
    wall.insert(wall.end(), other.wall.begin(), other.wall.end());
    cpu.insert(cpu.end(), other.cpu.begin(), other.cpu.end());
  }
};

/// All contestants once, in random order. True when nothing disturbed it.
bool run_round(const std::vector<Call>& contestants, const std::vector<int64_t>& counts, std::vector<size_t>& order,
               std::mt19937& engine, Quiet& quiet, std::vector<Samples>& into) {
  std::shuffle(order.begin(), order.end(), engine);
  bool ok = quiet.now();
  for (size_t i : order) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    contestants[i]();
    const int64_t waited = waited_ns(), cpu = cpu_now_ns();
    const auto count = static_cast<double>(counts[i]);
    const auto wall = static_cast<double>(time_calls(contestants[i], counts[i]));
    into[i].add({{wall / count}, {static_cast<double>(cpu_now_ns() - cpu) / count}});
    ok = ok && static_cast<double>(waited_ns() - waited) < 0.01 * wall;
  }
  return quiet.now() && ok;
}

}  // namespace

Measurement measure(const std::vector<Call>& contestants, const Options& options) {
  const size_t n = contestants.size();
  std::vector<int64_t> counts;
  for (const Call& call : contestants) counts.push_back(calls_per_sample(call, options.sample_ns));
  Quiet quiet(options.cores);
  std::mt19937 engine(1);
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::vector<Samples> accepted(n), busy(n);
  Measurement result;
  const int64_t deadline = now_ns() + static_cast<int64_t>(options.budget_s * 1e9);
  while (result.rounds < options.rounds && (now_ns() < deadline || result.rounds + result.rejected < 3)) {
    std::vector<Samples> round(n);
    const bool ok = run_round(contestants, counts, order, engine, quiet, round);
    (ok ? result.rounds : result.rejected) += 1;
    for (size_t i = 0; i < n; ++i) (ok ? accepted : busy)[i].add(round[i]);
  }
  result.quiet = result.rounds >= 3;
  if (!result.quiet) {
    for (size_t i = 0; i < n; ++i) accepted[i].add(busy[i]);
    result.rounds += result.rejected;
    result.rejected = 0;
  }
  for (const Samples& s : accepted) {
    result.of.push_back({quantile(s.wall, 0.5), quantile(s.wall, 0.1), quantile(s.wall, 0.9), quantile(s.cpu, 0.5)});
  }
  return result;
}

}  // namespace backplane::bench
