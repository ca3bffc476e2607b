// SPDX-License-Identifier: Apache-2.0
// An operation's operands in a device's memory, each between guard zones, with a queue and a clock: where variants run.
//
// Whatever goes wrong is thrown as Fault, with the verdict that it means for the variant at work. Waiting has a limit.
// A launch that never ends cannot be taken back: the rig then abandons its queue and memory instead of waiting for
// ever.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "backplane/autotune/outcome.h"
#include "backplane/host/device.h"
#include "backplane/host/error.h"
#include "problem.h"

namespace backplane::autotune {

/// Gives up ownership without freeing, where a launch that does not end may still be using it.
template <class T>
void keep_for_ever(T value) {
  static std::mutex mutex;
  static auto* const kept = new std::vector<std::unique_ptr<T>>();
  const std::lock_guard lock(mutex);
  kept->push_back(std::make_unique<T>(std::move(value)));
}

struct Fault {
  Verdict verdict;
  std::string reason;
};
/// What an error of the device says of the variant at work.
Fault fault_of(const host::Error& error);

class Rig {
 public:
  Rig(const host::DevicePtr& device, const Problem& problem, uint64_t hang_ns);
  ~Rig();
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  /// Workspace for a kernel that needs `bytes`, guarded like the operands. Kept for the largest so far.
  void need_workspace(uint64_t bytes);
  /// Fills outputs and workspace; `poison` should read as NaN. After distrust(), and at first, inputs and guards are
  /// written anew, too.
  void reset(const Problem& problem, uint8_t poison);
  void distrust() { trusted_ = false; }
  void enqueue(const host::Kernel& kernel);
  void wait();
  /// Throws when anything but outputs and workspace was written since reset().
  void check_surroundings(const Problem& problem);
  std::vector<Memory> outputs(const Problem& problem);
  /// Nanoseconds for `launches` launches in a row, by the device's clock where it has one. `lead` launches go before
  /// them and do not count: they wake the device and fill its caches.
  double time(const host::Kernel& kernel, uint32_t launches, uint32_t lead = 0);
  /// Smallest difference of times that means something.
  double resolution_ns() const { return resolution_ns_; }
  /// Bytes that this process holds on the device; 0 where the plugin does not say.
  uint64_t used_bytes() const;

 private:
  struct Guarded {
    host::Buffer buffer;
    uint64_t bytes = 0;
    bp_view view(uint64_t offset) const;
  };
  Guarded allocate(uint64_t bytes);
  void fill(bp_view target, uint8_t value, uint64_t bytes);
  /// A buffer with its guards, in place where the device shows its memory; `copy` holds it otherwise.
  const std::byte* look_at(const Guarded& guarded, std::vector<std::byte>& copy);
  void check_guards(const std::byte* all, const Guarded& guarded, const std::string& what) const;
  void check(bp_status status, const bp_error& error, const char* what) const;
  uint64_t ticks_between(uint64_t first, uint64_t second) const;

  host::DevicePtr device_;
  uint64_t hang_ns_;
  host::Queue queue_;
  host::Event event_;
  host::Timer timer_;
  bp_timing_info clock_{};
  double resolution_ns_ = 100;
  std::vector<Guarded> inputs_, outputs_;
  std::vector<bp_view> input_views_, output_views_;
  Guarded workspace_;
  uint8_t poison_ = 0;
  bool hung_ = false, trusted_ = false;
};

}  // namespace backplane::autotune
