// SPDX-License-Identifier: Apache-2.0
#include "simulation.h"

#include <algorithm>

namespace backplane::test {

const std::vector<Noise> kNoises = {
    {.name = "none"},
    {.name = "quiet", .sigma = 0.003},
    {.name = "typical", .sigma = 0.01},
    {.name = "noisy", .sigma = 0.03},
    {.name = "very noisy", .sigma = 0.08},
    {.name = "few spikes", .sigma = 0.005, .spike_share = 0.02, .spike_size = 1},
    {.name = "many spikes", .sigma = 0.01, .spike_share = 0.10, .spike_size = 0.5},
    {.name = "huge spikes", .sigma = 0.01, .spike_share = 0.03, .spike_size = 20},
    {.name = "slow drift", .sigma = 0.005, .drift = 0.2, .drift_ns = 1e9},
    {.name = "fast drift", .sigma = 0.01, .drift = 0.3, .drift_ns = 5e7},
    {.name = "step", .sigma = 0.01, .step = 0.3},
    {.name = "cold start", .sigma = 0.01, .cold = 2, .cold_ns = 5e6},
    {.name = "long cold start", .sigma = 0.005, .cold = 0.5, .cold_ns = 1e8},
    {.name = "wandering clock", .sigma = 0.005, .wander = 0.005},
    {.name = "timer of 1 us", .sigma = 0.005, .granularity = 1e3},
    {.name = "timer of 50 us", .sigma = 0.005, .granularity = 5e4},
    {.name = "timer of 200 us", .sigma = 0.01, .granularity = 2e5},
    {.name = "shared machine", .sigma = 0.03, .spike_share = 0.10, .spike_size = 1, .drift = 0.1, .drift_ns = 2e8,
     .wander = 0.003},
    {.name = "laptop", .sigma = 0.02, .spike_share = 0.05, .spike_size = 0.3, .step = 0.4, .cold = 0.5, .cold_ns = 2e7},
    {.name = "everything", .sigma = 0.03, .spike_share = 0.05, .spike_size = 2, .drift = 0.2, .drift_ns = 3e8, .step = 0.2,
     .cold = 1, .cold_ns = 1e7, .wander = 0.003, .granularity = 1e4},
};

double Instance::best() const { return *std::min_element(ns.begin(), ns.end()); }

Instance make_instance(std::mt19937_64& engine) {
  const auto uniform = [&](double low, double high) { return std::uniform_real_distribution<double>(low, high)(engine); };
  const size_t count = std::uniform_int_distribution<size_t>(2, 24)(engine);
  const double best = std::exp(uniform(std::log(2e3), std::log(2e6)));
  const double ties = uniform(0, 0.5);  // share of variants within 3 % of the best
  Instance instance;
  for (size_t i = 0; i < count; ++i) {
    const bool tie = uniform(0, 1) < ties;
    instance.ns.push_back(best * (tie ? 1 + uniform(0, 0.03) : std::exp(std::fabs(uniform(0, 1) * uniform(0, 2)))));
  }
  // A default is what somebody thought best: of a few at random the fastest, sometimes just any.
  const size_t guesses = std::uniform_int_distribution<size_t>(1, 4)(engine);
  size_t chosen = 0;
  for (size_t g = 1; g < guesses; ++g) {
    const size_t other = std::uniform_int_distribution<size_t>(0, count - 1)(engine);
    if (instance.ns[other] < instance.ns[chosen]) chosen = other;
  }
  std::swap(instance.ns[0], instance.ns[chosen]);
  return instance;
}

SimulatedCourse::SimulatedCourse(const Instance& instance, const Noise& noise, uint64_t seed)
    : instance_(instance), noise_(noise), engine_(seed),
      step_at_(std::uniform_real_distribution<double>(0, 2e8)(engine_)) {}

double SimulatedCourse::slow_down() {
  double factor = 1;
  if (noise_.drift_ns > 0) {
    const double phase = std::fmod(clock_ / noise_.drift_ns, 2);
    factor *= 1 + noise_.drift * (phase < 1 ? phase : 2 - phase);
  }
  if (clock_ > step_at_) factor *= 1 + noise_.step;
  if (noise_.cold_ns > 0) factor *= 1 + noise_.cold * std::exp(-clock_ / noise_.cold_ns);
  if (noise_.wander > 0) {
    wander_ += noise_.wander * std::sqrt((clock_ - wandered_at_) * 1e-6) * normal_(engine_);
    wander_ = std::clamp(wander_, -0.3, 0.3);
    wandered_at_ = clock_;
    factor *= std::exp(wander_);
  }
  return factor;
}

autotune::Course::Sample SimulatedCourse::sample(size_t i, int64_t deadline_ns) {
  const double wanted = std::max(1e5, 20 * noise_.granularity);
  const double batch = std::clamp(std::ceil(wanted / instance_.ns[i]), 1.0, 4096.0);
  double ns = batch * instance_.ns[i] * slow_down() * std::exp(noise_.sigma * normal_(engine_));
  std::uniform_real_distribution<double> uniform(0, 1);
  if (uniform(engine_) < noise_.spike_share) ns *= 1 - noise_.spike_size * std::log(1 - uniform(engine_));
  if (clock_ + batch * instance_.ns[i] > static_cast<double>(deadline_ns)) return {State::no_time, 0, autotune::Verdict::failed, {}};
  double seen = ns;
  if (noise_.granularity > 0) {
    const double start = std::floor(clock_ / noise_.granularity);
    seen = (std::floor((clock_ + ns) / noise_.granularity) - start) * noise_.granularity;
  }
  clock_ += ns + 5e3;  // the wait at its end
  return {State::timed, seen / batch, autotune::Verdict::failed, {}};
}

std::vector<autotune::Contestant> contestants_of(const Instance& instance, size_t incumbent) {
  std::vector<autotune::Contestant> contestants;
  for (size_t i = 0; i < instance.ns.size(); ++i) {
    // Built name first: gcc 12 warns wrongly about literal + to_string.
    std::string name("v");
    name += std::to_string(i);
    contestants.push_back({name, 0, BP_DETERMINISM_RUN, i == 0, i == incumbent});
  }
  return contestants;
}

}  // namespace backplane::test
