// SPDX-License-Identifier: Apache-2.0
// bp.timing: a stamp is a marker in the queue, its tick the nanosecond at which the driver says it was done.
#pragma once

#include <vector>

#include "queue.h"

namespace backplane::opencl {

class Timer {
 public:
  Timer(Device& device, uint32_t count) : device_(device), stamps_(count, nullptr) {}
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  void stamp(Queue& queue, uint32_t index);
  bp_status read(uint32_t first, uint32_t count, uint64_t* ticks, bp_error* error);

 private:
  Device& device_;
  std::vector<cl_event> stamps_;  // NULL: not put in
};

}  // namespace backplane::opencl
