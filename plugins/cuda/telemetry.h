// SPDX-License-Identifier: Apache-2.0
// Clocks, power, temperature and load by NVML (libnvidia-ml.so.1), where it is: without it those metrics are not there.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backplane/sdk/negotiate.hpp"

namespace backplane::cuda {

bp_metric make_metric(const char* name, uint32_t unit, double value);

/// [any] thread.
class Nvml {
 public:
  explicit Nvml(const sdk::Host& host);
  ~Nvml();
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  /// Appends what NVML says about the device at PCI address `pci`; a value it does not know is NaN.
  void sample(const char* pci, std::vector<bp_metric>& metrics) const;

 private:
  struct Api;
  std::unique_ptr<Api> api_;  // NULL: not there
};

}  // namespace backplane::cuda
