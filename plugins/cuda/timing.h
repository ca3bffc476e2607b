// SPDX-License-Identifier: Apache-2.0
// bp.timing with CUDA events. CUDA tells only how far apart two events are, in milliseconds as a float, which is exact to
// 60 ns over a second. A tick is a nanosecond since the device's first stamp; each stamp is measured from a base event, and a new
// base, measured from the one before, is laid when the last is older than half a second.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "queue.h"

namespace backplane::cuda {

struct Mark;  ///< an event with timing

/// The clock of one device.
class Clock {
 public:
  explicit Clock(Device& device) : device_(device) {}
  std::shared_ptr<Mark> stamp(Queue& queue);
  /// False when the mark, or one that it is measured from, has not been reached.
  bool read(Mark& mark, uint64_t* ticks);
  void calibrate(uint64_t* ticks, uint64_t* host_ns, uint64_t* deviation_ns);

 private:
  Device& device_;
  std::mutex mutex_;
  std::shared_ptr<Mark> base_;
  uint64_t base_time_ = 0;
};

class Timer {
 public:
  Timer(Device& device, Clock& clock, uint32_t count) : device_(device), clock_(clock), stamps_(count) {}
  void stamp(Queue& queue, uint32_t index);
  bp_status read(uint32_t first, uint32_t count, uint64_t* ticks, bp_error* error);

 private:
  Device& device_;
  Clock& clock_;
  std::vector<std::shared_ptr<Mark>> stamps_;
};

}  // namespace backplane::cuda
