// SPDX-License-Identifier: Apache-2.0
#include "timing.h"

#include <algorithm>
#include <cmath>

#include "backplane/sdk/plugin_timing.hpp"
#include "device.h"

namespace backplane::cuda {
namespace {

constexpr uint64_t kBaseAge = 500'000'000;  // ns
/// Work of another stream may be reached a little before the base was: it must not come out below zero.
constexpr uint64_t kStart = 1'000'000'000'000;

}  // namespace

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

std::shared_ptr<Mark> Clock::stamp(Queue& queue) {
  std::lock_guard<std::mutex> lock(mutex_);
  const uint64_t now = sdk::monotonic_ns();
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

bool Clock::read(Mark& mark, uint64_t* ticks) {
  std::lock_guard<std::mutex> lock(mutex_);
  return mark.read(ticks);
}

void Clock::calibrate(uint64_t* ticks, uint64_t* host_ns, uint64_t* deviation_ns) {
  Queue queue(device_);
  *deviation_ns = UINT64_MAX;
  for (int round = 0; round < 8; ++round) {  // the shortest round brackets the moment best
    const uint64_t before = sdk::monotonic_ns();
    const auto mark = stamp(queue);
    queue.finish(nullptr);
    const uint64_t after = sdk::monotonic_ns();
    if ((after - before + 1) / 2 >= *deviation_ns || !read(*mark, ticks)) continue;
    *deviation_ns = (after - before + 1) / 2;
    *host_ns = before + (after - before) / 2;
  }
}

void Timer::stamp(Queue& queue, uint32_t index) {
  const Current current = device_.enter();
  stamps_[index] = clock_.stamp(queue);
}

bp_status Timer::read(uint32_t first, uint32_t count, uint64_t* ticks, bp_error*) {
  const Current current = device_.enter();
  std::vector<uint64_t> values(count);
  for (uint32_t i = 0; i < count; ++i) {
    const auto& mark = stamps_[first + i];
    if (mark == nullptr || !clock_.read(*mark, &values[i])) return BP_NOT_READY;
  }
  std::copy(values.begin(), values.end(), ticks);
  return BP_OK;
}

}  // namespace backplane::cuda
