// SPDX-License-Identifier: Apache-2.0
#include "timing.h"

#include <time.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

#include "backplane/sdk/error.hpp"
#include "backplane/sdk/negotiate.hpp"

namespace backplane::cpu {
namespace {

struct Timer {
  explicit Timer(uint32_t count) : ticks(count, 0) {}
  std::vector<uint64_t> ticks;  // 0: not reached
};
Timer& of(bp_timer* timer) { return *reinterpret_cast<Timer*>(timer); }

uint64_t now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(t.tv_nsec);
}

void need(bool condition, const char* what) {
  if (!condition) throw sdk::Failure(BP_E_INVALID_ARGUMENT, what);
}

double resolution() {
  uint64_t best = UINT64_MAX;
  for (int i = 0; i < 64; ++i) {
    const uint64_t a = now();
    uint64_t b = a;
    while (b == a) b = now();
    best = std::min(best, b - a);
  }
  return static_cast<double>(best);
}

bp_status info(bp_device*, bp_timing_info* out, bp_error* error) noexcept {
  return sdk::guard(error, [&] {
    need(out != nullptr, "[timing] out is NULL");
    static const double ns = resolution();
    sdk::write_output(out, bp_timing_info{sizeof(bp_timing_info), 64, 1.0, ns}, sizeof(bp_timing_info));
  });
}
bp_status create(bp_device*, uint32_t count, bp_timer** out, bp_error* error) noexcept {
  return sdk::guard(error, [&] {
    need(out != nullptr, "[timing] out is NULL");
    *out = reinterpret_cast<bp_timer*>(new Timer(count));
  });
}
void destroy(bp_timer* timer) noexcept { delete reinterpret_cast<Timer*>(timer); }
bp_status stamp(bp_queue*, bp_timer* timer, uint32_t index, bp_error* error) noexcept {
  return sdk::guard(error, [&] {
    need(timer != nullptr && index < of(timer).ticks.size(), "[timing] no timer, or the index is beyond its stamps");
    of(timer).ticks[index] = now();
  });
}
bp_status read(bp_timer* timer, uint32_t first, uint32_t count, uint64_t* ticks, bp_error* error) noexcept {
  return sdk::guard(error, [&]() -> bp_status {
    need(timer != nullptr && (ticks != nullptr || count == 0), "[timing] timer or ticks is NULL");
    const std::vector<uint64_t>& all = of(timer).ticks;
    need(first <= all.size() && count <= all.size() - first, "[timing] the range is beyond the timer's stamps");
    for (uint32_t i = 0; i < count; ++i) {
      if (all[first + i] == 0) return BP_NOT_READY;
    }
    std::copy_n(all.begin() + first, count, ticks);
    return BP_OK;
  });
}
bp_status calibrate(bp_device*, uint64_t* ticks, uint64_t* host_ns, uint64_t* deviation_ns, bp_error* error) noexcept {
  return sdk::guard(error, [&] {
    need(ticks != nullptr && host_ns != nullptr && deviation_ns != nullptr, "[timing] an output is NULL");
    *ticks = *host_ns = now();  // the same clock
    *deviation_ns = 0;
  });
}

}  // namespace

const bp_timing_api& timing_interface() {
  static const bp_timing_api table{
      sizeof(bp_timing_api), BP_VERSION(1, 0), info, create, destroy, stamp, read, calibrate};
  return table;
}

}  // namespace backplane::cpu
