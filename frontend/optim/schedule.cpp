// SPDX-License-Identifier: Apache-2.0
#include "backplane/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

namespace backplane::optim {

Schedule constant(double rate) {
  return [rate](int64_t) { return rate; };
}

Schedule cosine(double rate, int64_t steps, double last) {
  return [=](int64_t step) {
    if (steps <= 0) return last;
    const double done = std::clamp(static_cast<double>(step) / static_cast<double>(steps), 0.0, 1.0);
    return last + (rate - last) * 0.5 * (1 + std::cos(std::numbers::pi * done));
  };
}

Schedule step_decay(double rate, int64_t every, double factor) {
  return
      [=](int64_t step) { return rate * std::pow(factor, static_cast<double>(step / std::max<int64_t>(every, 1))); };
}

Schedule warmup(int64_t steps, Schedule next) {
  return [steps, next = std::move(next)](int64_t step) {
    if (step >= steps) return next(step - steps);
    return next(0) * static_cast<double>(step + 1) / static_cast<double>(steps + 1);
  };
}

}  // namespace backplane::optim
