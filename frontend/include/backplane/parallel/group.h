// SPDX-License-Identifier: Apache-2.0
// Group: devices of this process that work at the same time, one thread each, and add up tensors among themselves.
//
//   parallel::Group group({Device("cuda:0"), Device("cuda:1")});
//   group.run([&](parallel::Rank& rank) { total[rank.index()] = rank.all_reduce(part[rank.index()]); });
//
// What a group does not do: several processes or machines (bp.collective could), overlapping an exchange with other
// work.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backplane/tensor.h"

namespace backplane::parallel {

/// Who adds up. Never chosen silently: a group that cannot be had as asked for is an error that names the other one.
enum class Reduction {
  plugin,  ///< the devices' plugin (bp.collective), in their queues; all devices are its own
  host     ///< the ranks' threads in the host's memory: any devices, of any plugins; every call waits for them
};
std::string_view to_string(Reduction reduction);  ///< "plugin", "host"
/// Throws Error for any other text.
Reduction reduction_from(std::string_view text);

enum class Combine { sum, mean };

/// A rank failed, so the group has ended: the text is that rank's own error after its number and device.
class RankError : public Error {
 public:
  RankError(uint32_t rank, const std::string& what) : Error(what), rank_(rank) {}
  uint32_t rank() const { return rank_; }

 private:
  uint32_t rank_;
};

class Exchange;  // frontend/parallel/exchange.h
class Calls;     // frontend/parallel/calls.h

/// One device of a group, as its thread sees it. All ranks make the same calls in the same order, with the same number
/// of elements and dtype; a call may wait until the others have made it. Where they do not, all ranks end with an
/// error.
class Rank {
 public:
  Rank(uint32_t index, const Device& device, Exchange& exchange, Calls& calls);
  uint32_t index() const { return index_; }
  uint32_t size() const;
  const Device& device() const { return device_; }

  /// The sum or mean over all ranks' `x`, the same bits on each. `x` is computed, on this rank's device, and no bool; a
  /// mean is of floats.
  Tensor all_reduce(const Tensor& x, Combine combine = Combine::sum, Here here = {}) const;
  /// Rank `root`'s `x`; the others' only says which type.
  Tensor broadcast(const Tensor& x, uint32_t root = 0, Here here = {}) const;

 private:
  void check(const Tensor& x, std::string_view call, Here here) const;
  uint32_t index_;
  Device device_;
  Exchange& exchange_;
  Calls& calls_;
};

class Group {
 public:
  /// Throws Error when `devices` is empty or names one twice, or when they cannot reduce as asked for.
  explicit Group(std::vector<Device> devices, Reduction reduction = Reduction::plugin);
  ~Group();
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  /// Calls `work` once for each rank, at the same time, and comes back when all have: what they put on the devices may
  /// still run. On a rank's thread its device is the default one, random numbers are its own, and tensors of other
  /// ranks' devices are not touched. When a rank throws, the others are ended where they wait, and RankError is thrown
  /// now and by every later call. One thread calls this at a time, and none of the group's own.
  void run(const std::function<void(Rank&)>& work);

  uint32_t size() const;
  const Device& device(uint32_t rank) const;
  Reduction reduction() const;
  /// "cuda:0, cuda:1; sums by plugin cuda" for people to read.
  std::string describe() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace backplane::parallel
