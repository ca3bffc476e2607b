// SPDX-License-Identifier: Apache-2.0
#include "backplane/device.h"

#include <mutex>

#include "backplane/autotune/placement.h"
#include "backplane/autotune/tuner.h"
#include "backplane/graph/runtime.h"
#include "backplane/host/environment.h"
#include "backplane/host/error.h"
#include "backplane/host/log.h"
#include "backplane/host/registry.h"
#include "thread_defaults.h"

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

/// `auto` goes by measurements where `backplane tune --arbitrate` has made some.
host::DevicePtr open(std::string_view selector) {
  host::Registry& registry = host::Registry::instance();
  if (selector != "auto") return registry.open(selector);
  const auto preference = autotune::preferred_device(registry, *autotune::Tuning::instance());
  if (!preference || !preference->changes) return registry.open(selector);
  try {
    return registry.open(preference->device);
  } catch (const host::Error& error) {
    host::log(BP_LOG_WARNING, "autotune", "[auto] " + preference->device + " is fastest here, but: " + error.what());
    return registry.open(selector);
  }
}

}  // namespace

Device::Device() : stream_(default_device().stream()) {}

Device::Device(std::string_view selector)
    : stream_(stream_of([&] { return open(selector); })) {}

const std::string& Device::name() const { return stream_->device()->name(); }

void Device::synchronize() const {
  try {
    stream_->finish();
  } catch (const host::Error& error) {
    throw Error(error.what());
  }
}

Device default_device() {
  if (const Device* own = ThreadDefaults::device()) return *own;
  const std::lock_guard lock(default_mutex);
  auto& stream = default_stream();
  if (stream == nullptr) {
    stream = stream_of([] { return open(host::environment("BACKPLANE_DEVICE").value_or("auto")); });
  }
  return Device(stream);
}

void set_default_device(const Device& device) {
  const std::lock_guard lock(default_mutex);
  default_stream() = device.stream();
}

}  // namespace backplane
