// SPDX-License-Identifier: Apache-2.0
// Recorded executions of plans (bp.capture): the second time a plan runs over the same buffers it is recorded, from then
// on it is one submission.
//
// A recording names its buffers, so it has to go before any of them does: the stream calls clear() before it gives
// memory back to the device. Bounded: the one that was not replayed for longest makes room.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>

#include "backplane/host/device.h"

namespace backplane::graph {

class Recordings {
 public:
  /// `device` offers bp.capture; `queue` is where recordings are made and replayed. Not for use by two threads at once.
  Recordings(host::Device& device, bp_queue* queue) : device_(device), queue_(queue) {}

  /// Runs `enqueue`, which puts one execution into the queue, or replays what it put there before. `key` names the plan
  /// and every buffer that the execution touches, each by its address at a multiple of 8 bytes. True when it was a
  /// replay.
  bool run(const std::string& key, const std::function<void()>& enqueue);

  /// Waits for pending replays, then drops every recording whose key begins with `prefix`.
  void clear(std::string_view prefix = {});
  /// The same with those whose key names `buffer`.
  void forget(const bp_buffer* buffer);

 private:
  struct Entry {
    host::Recording recording;  ///< empty: seen once
    uint64_t last_use = 0;
  };
  static constexpr size_t kMost = 64;

  template <class Condition>
  void drop(Condition condition);
  void record(Entry& entry, const std::function<void()>& enqueue);
  bool replay(const Entry& entry);
  void make_room();

  host::Device& device_;
  bp_queue* queue_;
  std::unordered_map<std::string, Entry> entries_;
  uint64_t clock_ = 0;
  bool usable_ = true;  ///< until the device declines to record
};

}  // namespace backplane::graph
