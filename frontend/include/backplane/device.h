// SPDX-License-Identifier: Apache-2.0
// Which device tensors live on, by selector text ("cuda:0,cpu"); nothing here names a vendor.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace backplane {

namespace graph {
class Stream;
}

/// A device to compute on. Copies are the same device.
class Device {
 public:
  /// What BACKPLANE_DEVICE asks for, or the best one; opened at first use. Throws Error when there is none.
  Device();
  /// The first usable device of a selector list. Throws Error naming what exists and why it does not match.
  explicit Device(std::string_view selector);
  explicit Device(std::shared_ptr<graph::Stream> stream) : stream_(std::move(stream)) {}

  const std::string& name() const;  ///< "cpu:0"
  /// Waits until all work put on it is done; throws what went wrong in it.
  void synchronize() const;
  const std::shared_ptr<graph::Stream>& stream() const { return stream_; }
  friend bool operator==(const Device& a, const Device& b) { return a.stream_ == b.stream_; }

 private:
  std::shared_ptr<graph::Stream> stream_;
};

/// Where new tensors are made; Device() unless changed.
Device default_device();
void set_default_device(const Device& device);

}  // namespace backplane
