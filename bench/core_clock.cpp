// SPDX-License-Identifier: Apache-2.0
#include "core_clock.h"

#include <algorithm>
#include <cstdint>

#include "busy.h"

namespace backplane::bench {

namespace {

double chain_ns() {
  constexpr int kLength = 100'000;
  uint64_t x = 1;
  const int64_t start = now_ns();
  for (int i = 0; i < kLength; ++i) asm volatile("add $1, %0" : "+r"(x));
  return static_cast<double>(now_ns() - start);
}

}  // namespace

// Threads that are started for each look would be tasks that began and ended while others are watched (busy.h).
CoreClock::CoreClock(int cores) : times_(static_cast<size_t>(cores)) {
  for (size_t core = 1; core < times_.size(); ++core) threads_.emplace_back([this, core] { work(core); });
  for (int i = 0; i < 20; ++i) best_ns_ = std::min(best_ns_, chain_ns());
}

CoreClock::~CoreClock() {
  ends_ = true;
  ++round_;
  round_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool CoreClock::is_full() {
  const double ns = slowest_ns();
  best_ns_ = std::min(best_ns_, ns);
  return ns * 0.93 <= best_ns_;
}

void CoreClock::work(size_t core) {
  for (int seen = 0;; ++seen) {
    round_.wait(seen);
    if (ends_) return;
    times_[core] = chain_ns();
    if (--left_ == 0) left_.notify_one();
  }
}

/// They run at the same time, so that each needs a core of its own.
double CoreClock::slowest_ns() {
  left_ = static_cast<int>(threads_.size());
  ++round_;
  round_.notify_all();
  times_[0] = chain_ns();
  for (int left = left_; left > 0; left = left_) left_.wait(left);
  return *std::max_element(times_.begin(), times_.end());
}

}  // namespace backplane::bench
