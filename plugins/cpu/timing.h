// SPDX-License-Identifier: Apache-2.0
// bp.timing over CLOCK_MONOTONIC: work is done when enqueue returns, so a stamp is the clock's reading.
#pragma once

#include <cstdint>
#include <vector>

#include "backplane/plugin.h"
#include "backplane/sdk/host_backend.hpp"
#include "backplane/sdk/plugin_timing.hpp"

namespace backplane::cpu {

/// Its smallest step, measured once.
double clock_resolution_ns();

class Timer {
 public:
  explicit Timer(uint32_t count) : ticks_(count, 0) {}
  void stamp(sdk::HostQueue&, uint32_t index) { ticks_[index] = sdk::monotonic_ns(); }
  bp_status read(uint32_t first, uint32_t count, uint64_t* ticks, bp_error* error) const;

 private:
  std::vector<uint64_t> ticks_;  // 0: not reached
};

}  // namespace backplane::cpu
