// SPDX-License-Identifier: Apache-2.0
// The clock of a tuning's budget: it stands still while kernels are built, also where a driver does that at their first
// launch, and while right results are computed. What that takes counts against the time in all.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <utility>

#include "backplane/autotune/race.h"

namespace backplane::autotune {

class Budget {
 public:
  explicit Budget(const Request& request)
      : request_(request), now_(request.now_ns ? request.now_ns : monotonic_ns), start_ns_(now_()) {}

  /// Nanoseconds used so far.
  int64_t clock() const { return now_() - start_ns_ - static_cast<int64_t>(excluded_ns_); }
  uint64_t used() const { return static_cast<uint64_t>(std::max<int64_t>(0, clock())); }
  uint64_t excluded_ns() const { return excluded_ns_; }
  /// Runs `work` off the clock; nanoseconds that it took. It may throw.
  template <class F>
  uint64_t exclude(F&& work) {
    struct Pause {
      Budget& budget;
      int64_t from;
      uint64_t took() const { return static_cast<uint64_t>(budget.now_() - from); }
      ~Pause() { budget.excluded_ns_ += took(); }
    } const pause{*this, now_()};
    std::forward<F>(work)();
    return pause.took();
  }
  /// Takes time off the clock afterwards.
  void credit(uint64_t ns) { excluded_ns_ += ns; }
  /// On clock(): that share of the budget, or earlier where what is left of the time in all needs that.
  int64_t deadline(double share) const {
    const auto budget = static_cast<double>(request_.budget_ns);
    return static_cast<int64_t>(std::min(budget * share, static_cast<double>(clock()) + left_in_all(share)));
  }
  /// Of the time in all, when what comes after that share of the budget is kept.
  double left_in_all(double share) const {
    const auto budget = static_cast<double>(request_.budget_ns), total = static_cast<double>(request_.total_ns);
    return total - static_cast<double>(now_() - start_ns_) - (1 - share) * std::min(budget, total);
  }
  bool cancelled() const {
    return request_.cancelled != nullptr && request_.cancelled->load(std::memory_order_relaxed);
  }
  bool fits(double ns, int64_t until) const {
    return !cancelled() && static_cast<double>(clock()) + ns <= static_cast<double>(until);
  }

 private:
  static int64_t monotonic_ns() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
  }
  const Request& request_;
  std::function<int64_t()> now_;
  int64_t start_ns_;
  uint64_t excluded_ns_ = 0;
};

}  // namespace backplane::autotune
