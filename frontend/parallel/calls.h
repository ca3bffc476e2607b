// SPDX-License-Identifier: Apache-2.0
// What the ranks of a group have called so far, so that ranks which do not agree end with an error instead of waiting
// for each other for ever.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <string_view>
#include <vector>

#include "backplane/graph/types.h"

namespace backplane::parallel {

struct Call {
  std::string_view name;  ///< of a function: compared by its text
  DType dtype;
  int64_t elements;
  uint32_t root = 0;
  friend bool operator==(const Call&, const Call&) = default;
};

class Calls {
 public:
  explicit Calls(uint32_t ranks) : made_(ranks), ended_(ranks) {}
  uint32_t ranks() const { return static_cast<uint32_t>(made_.size()); }
  /// Before a rank waits for the others in `call`. Throws Error when another rank's call of this number was a different
  /// one, or will never come.
  void make(uint32_t rank, const Call& call);
  /// A rank's work is done. Throws Error when another rank has made more calls.
  void end(uint32_t rank);
  /// All ranks are about to work again.
  void start();

 private:
  std::mutex mutex_;
  std::deque<Call> calls_;  ///< from number first_ on: those that not all ranks have made
  uint64_t first_ = 0;
  std::vector<uint64_t> made_;
  std::vector<bool> ended_;
};

}  // namespace backplane::parallel
