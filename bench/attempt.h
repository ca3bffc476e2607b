// SPDX-License-Identifier: Apache-2.0
// What a sweep is at right now, in memory that outlives the process that measures: when that one crashes or hangs, the
// one that watches it (supervise.h) reads here what did it.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <string>

#include "backplane/autotune/outcome.h"

namespace backplane::bench {

/// Work that took its process down.
struct Incident {
  std::string device;
  std::string work;     ///< of a job: Job::key(); "ceilings"
  std::string variant;  ///< empty: one of those that were at work together
  autotune::Failure what;
};

class Attempt {
 public:
  /// In memory that this process shares with those that it forks. Throws std::system_error.
  static Attempt& shared();

  /// From now on it is this; `work` is empty between jobs. Text that is too long is cut off.
  void at(const std::string& device, const std::string& work, const std::string& variant = {});
  /// The variant alone changes. What takes longer than `limit_s` hangs, whatever the limit of the others.
  void at_variant(const std::string& variant, double limit_s = std::numeric_limits<double>::infinity());
  /// The sweep is over, and what follows cannot spoil it.
  void finish(int exit_code);

  void reset();
  int64_t since_ns() const { return since_ns_; }  ///< of the latest change, by now_ns()
  double limit_s() const { return limit_s_; }
  bool finished() const { return finished_; }
  int exit_code() const { return exit_code_; }
  /// Only when the process that wrote it is gone.
  Incident read() const { return {device_, work_, variant_, {}}; }

 private:
  Attempt() = default;
  std::atomic<int64_t> since_ns_ = 0;
  std::atomic<double> limit_s_ = std::numeric_limits<double>::infinity();
  std::atomic<bool> finished_ = false;
  std::atomic<int> exit_code_ = 0;
  char device_[64] = {}, work_[512] = {}, variant_[256] = {};
};

}  // namespace backplane::bench
