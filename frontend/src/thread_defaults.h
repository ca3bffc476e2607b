// SPDX-License-Identifier: Apache-2.0
// A default device and a random generator of a thread's own, in place of the process's: for ranks of a group, which
// compute at the same time on different devices.
#pragma once

#include <array>
#include <cstdint>

#include "backplane/variable.h"

namespace backplane {

/// Lives on the thread it is for.
class ThreadDefaults {
 public:
  /// `key` as next_random_key() gives it: seed, offset.
  ThreadDefaults(const Device& device, const std::array<int32_t, 4>& key);
  ~ThreadDefaults();
  ThreadDefaults(const ThreadDefaults&) = delete;
  ThreadDefaults& operator=(const ThreadDefaults&) = delete;

  /// This thread's own, or nullptr.
  static const Device* device();
  static Variable* random_key();

 private:
  Device device_;
  Variable key_;
  ThreadDefaults* outer_;
};

}  // namespace backplane
