// SPDX-License-Identifier: Apache-2.0
#include "backplane/device.h"

#include <mutex>

#include "backplane/graph/runtime.h"
#include "backplane/host/registry.h"

namespace backplane {

namespace {

std::mutex default_mutex;
std::shared_ptr<graph::Stream>& default_stream() {
  static auto* const stream = new std::shared_ptr<graph::Stream>();  // outlives tensors in static variables
  return *stream;
}

template <class Open>
std::shared_ptr<graph::Stream> stream_of(Open open) {
  try {
    return graph::Stream::of(open());
  } catch (const host::Error& error) {
    throw Error(error.what());
  }
}

}  // namespace

Device::Device() : stream_(default_device().stream()) {}

Device::Device(std::string_view selector)
    : stream_(stream_of([&] { return host::Registry::instance().open(selector); })) {}

const std::string& Device::name() const { return stream_->device()->name(); }

void Device::synchronize() const {
  try {
    stream_->finish();
  } catch (const host::Error& error) {
    throw Error(error.what());
  }
}

Device default_device() {
  const std::lock_guard lock(default_mutex);
  auto& stream = default_stream();
  if (stream == nullptr) stream = stream_of([] { return host::Registry::instance().open_default(); });
  return Device(stream);
}

void set_default_device(const Device& device) {
  const std::lock_guard lock(default_mutex);
  default_stream() = device.stream();
}

}  // namespace backplane
