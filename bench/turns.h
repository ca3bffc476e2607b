// SPDX-License-Identifier: Apache-2.0
// Two processes that measure the same work in turn, some hundredths of a second each.
//
// What a machine is worth changes within a second: another guest of the host runs on the same core, say. Windows of both
// that follow one another have all that in common. They meet at each measurement by its name, take turns, and leave it
// together. Whoever finds the other gone, or too late, goes on alone.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace backplane::bench {

class Turns {
 public:
  /// `text`: FILE:0 or FILE:1. Both map the file, which is empty or full of zeros at first. Throws std::runtime_error.
  explicit Turns(const std::string& text);
  ~Turns();
  Turns(const Turns&) = delete;
  Turns& operator=(const Turns&) = delete;

  /// Waits for the other to come to the same measurement. False when it does not: then there are no turns.
  bool meet(const std::string& name);
  /// Waits for our turn.
  void take();
  void pass();
  /// Passes, and waits for the other to be done, too.
  void leave();
  /// What the one said who came first at this measurement, for both; called during a turn.
  std::vector<int64_t> agreed(const std::function<std::vector<int64_t>()>& say);

 private:
  struct Shared;
  bool other_is_here() const;

  Shared* shared_ = nullptr;
  unsigned side_ = 0;
  uint64_t at_ = 0;  ///< the measurement's name as a number, never 0
};

}  // namespace backplane::bench
