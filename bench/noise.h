// SPDX-License-Identifier: Apache-2.0
// The noise floor of a run: the same small product on each device, timed again every few seconds while the sweep goes
// on. How far apart those medians lie is what any two medians of this run may differ by for no reason.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "kernels.h"

namespace backplane::bench {

class NoiseFloor {
 public:
  /// Devices without products do not take part.
  explicit NoiseFloor(const std::vector<host::DevicePtr>& devices);
  /// Times one device, in turn, when it is time to.
  void look();
  void forget(const host::DevicePtr& device);  ///< it was lost
  /// Robust standard deviation of log medians around each device's own median; nothing below three medians of any.
  std::optional<double> value() const;

 private:
  struct Probe {
    host::DevicePtr device;
    std::unique_ptr<Prepared> kernel;
    std::vector<double> logs;
  };
  std::vector<Probe> probes_;
  size_t next_ = 0;
  int64_t last_ns_ = 0;
};

}  // namespace backplane::bench
