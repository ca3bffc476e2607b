// SPDX-License-Identifier: Apache-2.0
#include "simulation.h"

#include <algorithm>
#include <cmath>

#include "backplane/plugin.h"

namespace backplane::test {

autotune::Course::Sample SimulatedCourse::sample(size_t i, int64_t deadline_ns) {
  using autotune::Verdict;
  const double batch = std::clamp(std::ceil(sample_ns_ / instance_.ns[i]), 1.0, 4096.0);
  if (clock_ + batch * instance_.ns[i] > static_cast<double>(deadline_ns))
    return {State::no_time, 0, Verdict::over_budget, {}};
  const double start = clock_;
  clock_ += noise_.take(batch * instance_.ns[i], clock_);
  const double seen = noise_.read(clock_) - noise_.read(start);
  clock_ += 5e3;  // the wait at its end
  return {State::timed, seen / batch, Verdict::raced, {}};
}

std::vector<autotune::Contestant> contestants_of(const Instance& instance, size_t incumbent) {
  std::vector<autotune::Contestant> contestants;
  for (size_t i = 0; i < instance.ns.size(); ++i) {
    std::string name("v");
    name += std::to_string(i);
    contestants.push_back({name, 0, BP_DETERMINISM_RUN, i == 0, i == incumbent});
  }
  return contestants;
}

}  // namespace backplane::test
