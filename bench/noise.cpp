// SPDX-License-Identifier: Apache-2.0
#include "noise.h"

#include <cmath>

#include "busy.h"
#include "report/statistics.h"
#include "case.h"

namespace backplane::bench {

namespace {

constexpr int64_t kEveryNs = 1'500'000'000;
constexpr double kBudgetS = 0.03;

}  // namespace

NoiseFloor::NoiseFloor(const std::vector<host::DevicePtr>& devices) {
  const Case product = matmul_case(96, 96, 96);
  const host::KernelOp op = product.kernel_op();
  const Values values = suitable_values(op);
  for (const host::DevicePtr& device : devices) {
    try {
      probes_.push_back({device, std::make_unique<Prepared>(std::make_shared<Operands>(device, op, values)), {}});
    } catch (const std::exception&) {
      continue;  // its rows will say why
    }
  }
}

void NoiseFloor::look() {
  if (probes_.empty() || now_ns() - last_ns_ < kEveryNs) return;
  Probe& probe = probes_[next_++ % probes_.size()];
  const Measurement m = measure({probe.kernel->contestant()}, {.rounds = 9, .budget_s = kBudgetS});
  probe.logs.push_back(std::log(m.of[0].median_ns));
  last_ns_ = now_ns();
}

void NoiseFloor::forget(const host::DevicePtr& device) {
  std::erase_if(probes_, [&](const Probe& probe) { return probe.device == device; });
}

std::optional<double> NoiseFloor::value() const {
  std::vector<double> apart;  // from the median of the same device
  for (const Probe& probe : probes_) {
    if (probe.logs.size() < 3) continue;
    const double middle = report::median(probe.logs);
    for (double log : probe.logs) apart.push_back(log - middle);
  }
  // Robust: rows do not count what other programs did in between, so this must not either.
  return apart.empty() ? std::nullopt : std::optional(report::robust_deviation(apart));
}

}  // namespace backplane::bench
