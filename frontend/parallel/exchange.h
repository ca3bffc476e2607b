// SPDX-License-Identifier: Apache-2.0
// How ranks reach each other: the part of a group that differs between the devices' plugin and the host's memory. That
// all ranks make the same call is checked before.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "backplane/parallel/group.h"

namespace backplane::parallel {

class Exchange {
 public:
  virtual ~Exchange() = default;
  /// On each rank's own thread, before and after everything else. After abort(), join() may throw; leave() does not.
  virtual void join(uint32_t rank) = 0;
  virtual void leave(uint32_t rank) noexcept = 0;
  /// `x` is dense, on the rank's device and has at least one element.
  virtual Tensor sum(uint32_t rank, const Tensor& x) = 0;
  virtual Tensor broadcast(uint32_t rank, const Tensor& x, uint32_t root) = 0;
  /// From any thread: whoever waits in a call, or will, gets an Error instead.
  virtual void abort() noexcept = 0;
  /// Who adds up, for describe().
  virtual std::string name() const = 0;
};

std::unique_ptr<Exchange> make_host_exchange(std::span<const Device> devices);
/// Throws Error when the devices are of several plugins, or of one that makes no groups.
std::unique_ptr<Exchange> make_plugin_exchange(std::span<const Device> devices);

}  // namespace backplane::parallel
