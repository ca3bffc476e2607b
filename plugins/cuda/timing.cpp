// SPDX-License-Identifier: Apache-2.0
// bp.timing with CUDA events. CUDA tells only how far apart two events are, in milliseconds as a float, which is exact to
// 60 ns over a second. A tick is a nanosecond since the device's first stamp; each stamp is measured from a base event, and a new
// base, measured from the one before, is laid when the last is older than half a second.
#include <time.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "device.h"
#include "interfaces.h"

namespace backplane::cuda {
namespace {

constexpr uint64_t kBaseAge = 500'000'000;  // ns

uint64_t monotonic_ns() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(t.tv_nsec);
}

/// An event with timing.
struct Mark {
  explicit Mark(Device& device) : device(device) {
    device.check(cu().EventCreate(&event, CU_EVENT_DEFAULT), "cuEventCreate");
  }
  ~Mark() {
    const Current current(device.context());
    cu().EventDestroy(event);
  }
  Mark(const Mark&) = delete;
  Mark& operator=(const Mark&) = delete;

  /// Ticks of this mark; false when it or one before it has not been reached.
  bool read(uint64_t* ticks) {
    if (!known) {
      uint64_t start = 0;
      if (base != nullptr) {
        if (!base->read(&start)) return false;
        float ms = 0;
        const CUresult code = cu().EventElapsedTime(&ms, base->event, event);
        if (code == CUDA_ERROR_NOT_READY) return false;
        device.check(code, "cuEventElapsedTime");
        start = static_cast<uint64_t>(std::max<int64_t>(0, static_cast<int64_t>(start) + std::llround(1e6 * static_cast<double>(ms))));
      }
      value = start;
      known = true;
      base.reset();
    }
    *ticks = value;
    return true;
  }

  Device& device;
  CUevent event = nullptr;
  std::shared_ptr<Mark> base;  // NULL: the clock's zero, or known
  bool known = false;
  uint64_t value = 0;
};

/// The clock of one device, as long as one of its timers lives.
class Clock {
 public:
  explicit Clock(Device& device) : device_(device) {}

  std::shared_ptr<Mark> stamp(Queue& queue) {
    std::lock_guard<std::mutex> lock(mutex_);
    const uint64_t now = monotonic_ns();
    if (base_ == nullptr || now - base_time_ > kBaseAge) {
      auto base = std::make_shared<Mark>(device_);
      base->base = base_;
      if (base_ == nullptr) base->value = kStart, base->known = true;
      queue.stamp(base->event);
      base_ = std::move(base);
      base_time_ = now;
    }
    auto mark = std::make_shared<Mark>(device_);
    mark->base = base_;
    queue.stamp(mark->event);
    return mark;
  }
  bool read(Mark& mark, uint64_t* ticks) {
    std::lock_guard<std::mutex> lock(mutex_);
    return mark.read(ticks);
  }

  static std::shared_ptr<Clock> of(Device& device) {
    static std::mutex mutex;
    static std::map<Device*, std::weak_ptr<Clock>> clocks;
    std::lock_guard<std::mutex> lock(mutex);
    std::erase_if(clocks, [](const auto& entry) { return entry.second.expired(); });
    std::shared_ptr<Clock> clock = clocks[&device].lock();
    if (clock == nullptr) clocks[&device] = clock = std::make_shared<Clock>(device);
    return clock;
  }

 private:
  /// Work of another stream may be reached a little before the base was: it must not come out below zero.
  static constexpr uint64_t kStart = 1'000'000'000'000;
  Device& device_;
  std::mutex mutex_;
  std::shared_ptr<Mark> base_;
  uint64_t base_time_ = 0;
};

struct Timer {
  Timer(Device& device, uint32_t count) : device(device), clock(Clock::of(device)), stamps(count) {}
  Device& device;
  std::shared_ptr<Clock> clock;
  std::vector<std::shared_ptr<Mark>> stamps;
};
Timer& of(bp_timer* timer) { return *reinterpret_cast<Timer*>(timer); }
Device& of(bp_device* device) { return *reinterpret_cast<Device*>(device); }

void need(bool condition, const char* what) {
  if (!condition) throw sdk::Failure(BP_E_INVALID_ARGUMENT, what);
}

bp_status info(bp_device* device, bp_timing_info* out, bp_error* error) noexcept {
  return sdk::guard(error, [&] {
    need(device != nullptr && out != nullptr, "[timing] device or out is NULL");
    // CUDA documents a resolution of about half a microsecond for events.
    const bp_timing_info value{sizeof(bp_timing_info), 64, 1.0, 500.0};
    sdk::write_output(out, value, sizeof(value));
  });
}
bp_status create(bp_device* device, uint32_t count, bp_timer** out, bp_error* error) noexcept {
  return sdk::guard(error, [&] {
    need(device != nullptr && out != nullptr, "[timing] device or out is NULL");
    *out = reinterpret_cast<bp_timer*>(new Timer(of(device), count));
  });
}
void destroy(bp_timer* timer) noexcept { delete reinterpret_cast<Timer*>(timer); }

bp_status stamp(bp_queue* queue, bp_timer* timer, uint32_t index, bp_error* error) noexcept {
  return sdk::guard(error, [&] {
    need(queue != nullptr && timer != nullptr, "[timing] queue or timer is NULL");
    need(index < of(timer).stamps.size(), "[timing] the index is beyond the timer's stamps");
    const Current current = of(timer).device.enter();
    of(timer).stamps[index] = of(timer).clock->stamp(*reinterpret_cast<Queue*>(queue));
  });
}

bp_status read(bp_timer* timer, uint32_t first, uint32_t count, uint64_t* ticks, bp_error* error) noexcept {
  return sdk::guard(error, [&]() -> bp_status {
    need(timer != nullptr && (ticks != nullptr || count == 0), "[timing] timer or ticks is NULL");
    Timer& all = of(timer);
    need(first <= all.stamps.size() && count <= all.stamps.size() - first, "[timing] the range is beyond the stamps");
    const Current current = all.device.enter();
    std::vector<uint64_t> values(count);
    for (uint32_t i = 0; i < count; ++i) {
      const auto& mark = all.stamps[first + i];
      if (mark == nullptr || !all.clock->read(*mark, &values[i])) return BP_NOT_READY;
    }
    std::copy(values.begin(), values.end(), ticks);
    return BP_OK;
  });
}

bp_status calibrate(bp_device* device, uint64_t* ticks, uint64_t* host_ns, uint64_t* deviation_ns,
                    bp_error* error) noexcept {
  return sdk::guard(error, [&] {
    need(device != nullptr && ticks != nullptr && host_ns != nullptr && deviation_ns != nullptr,
         "[timing] device or an output is NULL");
    const Current current = of(device).enter();
    const auto clock = Clock::of(of(device));
    Queue queue(of(device));
    *deviation_ns = UINT64_MAX;
    for (int round = 0; round < 8; ++round) {  // the shortest round brackets the moment best
      const uint64_t before = monotonic_ns();
      const auto mark = clock->stamp(queue);
      queue.finish(nullptr);
      const uint64_t after = monotonic_ns();
      if ((after - before + 1) / 2 >= *deviation_ns || !clock->read(*mark, ticks)) continue;
      *deviation_ns = (after - before + 1) / 2;
      *host_ns = before + (after - before) / 2;
    }
  });
}

}  // namespace

const bp_timing_api& timing_interface() {
  static const bp_timing_api table{
      sizeof(bp_timing_api), BP_VERSION(1, 0), info, create, destroy, stamp, read, calibrate};
  return table;
}

}  // namespace backplane::cuda
