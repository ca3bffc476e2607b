// SPDX-License-Identifier: Apache-2.0
#include "watch.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "backplane/graph/runtime.h"
#include "backplane/host/error.h"

namespace backplane::parallel {

/// How long a failure stays unnoticed; each look asks every device once.
constexpr auto kBetweenLooks = std::chrono::milliseconds(5);

Watch::Watch(uint32_t ranks, Failed failed)
    : failed_(std::move(failed)), pending_(ranks), thread_([this] { look(); }) {}

Watch::~Watch() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void Watch::add(uint32_t rank, const Device& device) {
  graph::Stream& stream = *device.stream();
  host::Event event = stream.device()->create_event();
  {
    const std::lock_guard lock(stream.mutex());
    bp_error error = host::make_error();
    const bp_status status = stream.device()->queues().event_record(stream.queue(), event.get(), &error);
    host::check(status, error, device.name() + ": event");
  }
  const std::lock_guard lock(mutex_);
  Pending& pending = pending_[rank];
  (pending.now ? pending.next : pending.now) = std::move(event);
  changed_.notify_all();
}

bool Watch::anything() const {
  return std::any_of(pending_.begin(), pending_.end(), [](const Pending& each) { return bool(each.now); });
}

void Watch::look() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return ending_ || anything(); });
    if (ending_) return;
    for (uint32_t rank = 0; rank < pending_.size(); ++rank) {
      Pending& pending = pending_[rank];
      if (!pending.now) continue;
      const host::Device& device = *pending.now.device();
      bp_error error = host::make_error();
      const bp_status status = device.queues().event_sync(pending.now.get(), 0, &error);
      if (status == BP_NOT_READY) continue;
      if (status >= 0) {
        pending.now = std::exchange(pending.next, {});
        continue;
      }
      lock.unlock();
      try {
        host::check(status, error, device.name());
      } catch (const host::Error& failure) {
        failed_(rank, failure.what());
      }
      return;
    }
    changed_.wait_for(lock, kBetweenLooks, [&] { return ending_; });
  }
}

}  // namespace backplane::parallel
