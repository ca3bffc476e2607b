// SPDX-License-Identifier: Apache-2.0
// bp.timing: timestamps written by the device, one query per stamp.
#pragma once

#include <vector>

#include "queue.h"

namespace backplane::vulkan {

class Timer {
 public:
  Timer(Gpu& gpu, uint32_t count);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  void stamp(Queue& queue, uint32_t index);
  bp_status read(uint32_t first, uint32_t count, uint64_t* ticks, bp_error* error);

 private:
  Gpu& gpu_;
  VkQueryPool pool_ = VK_NULL_HANDLE;
  std::vector<Event> stamps_;  // when each was last written
  std::vector<bool> reached_;  // whether it was ever put into a queue
};

}  // namespace backplane::vulkan
