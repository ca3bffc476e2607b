// SPDX-License-Identifier: Apache-2.0
// The table of bp.timing from a device's timers; what an author declares is at the head of plugin.hpp.
#pragma once

#include <time.h>

#include <memory>
#include <type_traits>

#include "backplane/sdk/error.hpp"
#include "backplane/sdk/negotiate.hpp"

namespace backplane::sdk {

/// CLOCK_MONOTONIC, the host's side of calibrate().
inline uint64_t monotonic_ns() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(t.tv_nsec);
}

template <class Device>
struct TimingThunks {
  using Queue = typename Device::Queue;
  using Timer = typename decltype(std::declval<Device&>().create_timer(0u))::element_type;

  struct Handle {  // bp_timer
    std::unique_ptr<Timer> timer;
    uint32_t count;
  };
  static Handle& of(bp_timer* timer) { return *reinterpret_cast<Handle*>(timer); }
  static Device& of(bp_device* device) { return *reinterpret_cast<Device*>(device); }
  static void need(bool condition, const char* what) {
    if (!condition) throw Failure(BP_E_INVALID_ARGUMENT, what);
  }

  static bp_status info(bp_device* device, bp_timing_info* out, bp_error* error) noexcept {
    return guard(error, [&] {
      need(device != nullptr && out != nullptr, "[timing] device or out is NULL");
      bp_timing_info value = of(device).timing_info();
      value.size = sizeof(value);
      write_output(out, value, sizeof(value));
    });
  }
  static bp_status create(bp_device* device, uint32_t count, bp_timer** out, bp_error* error) noexcept {
    return guard(error, [&] {
      need(device != nullptr && out != nullptr, "[timing] device or out is NULL");
      need(count != 0, "[timing] a timer needs at least one stamp");
      auto handle = std::make_unique<Handle>(Handle{of(device).create_timer(count), count});
      *out = reinterpret_cast<bp_timer*>(handle.release());
    });
  }
  static void destroy(bp_timer* timer) noexcept { delete reinterpret_cast<Handle*>(timer); }
  static bp_status stamp(bp_queue* queue, bp_timer* timer, uint32_t index, bp_error* error) noexcept {
    return guard(error, [&] {
      need(queue != nullptr && timer != nullptr, "[timing] queue or timer is NULL");
      need(index < of(timer).count, "[timing] the index is beyond the timer's stamps");
      of(timer).timer->stamp(*reinterpret_cast<Queue*>(queue), index);
    });
  }
  static bp_status read(bp_timer* timer, uint32_t first, uint32_t count, uint64_t* ticks, bp_error* error) noexcept {
    return guard(error, [&]() -> bp_status {
      need(timer != nullptr && (ticks != nullptr || count == 0), "[timing] timer or ticks is NULL");
      Handle& handle = of(timer);
      need(first <= handle.count && count <= handle.count - first,
           "[timing] the range is beyond the timer's stamps");
      return handle.timer->read(first, count, ticks, error);
    });
  }
  static bp_status calibrate(bp_device* device, uint64_t* ticks, uint64_t* host_ns, uint64_t* deviation_ns,
                             bp_error* error) noexcept {
    return guard(error, [&] {
      need(device != nullptr && ticks != nullptr && host_ns != nullptr && deviation_ns != nullptr,
           "[timing] device or an output is NULL");
      if constexpr (kHasCalibrate) of(device).calibrate(ticks, host_ns, deviation_ns);
    });
  }

  static constexpr bool kHasCalibrate =
      requires(Device& d, uint64_t* value) { d.calibrate(value, value, value); };
  static constexpr bp_timing_api kTable{sizeof(bp_timing_api), BP_VERSION(1, 0), info, create, destroy, stamp, read,
                                        kHasCalibrate ? calibrate : nullptr};
};

}  // namespace backplane::sdk
