// SPDX-License-Identifier: Apache-2.0
#include "timing.h"

#include <algorithm>

namespace backplane::cpu {

double clock_resolution_ns() {
  static const uint64_t resolution = [] {
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < 64; ++i) {
      const uint64_t a = sdk::monotonic_ns();
      uint64_t b = a;
      while (b == a) b = sdk::monotonic_ns();
      best = std::min(best, b - a);
    }
    return best;
  }();
  return static_cast<double>(resolution);
}

bp_status Timer::read(uint32_t first, uint32_t count, uint64_t* ticks, bp_error*) const {
  const auto begin = ticks_.begin() + first;
  if (std::find(begin, begin + count, 0u) != begin + count) return BP_NOT_READY;
  std::copy_n(begin, count, ticks);
  return BP_OK;
}

}  // namespace backplane::cpu
