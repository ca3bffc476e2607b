// SPDX-License-Identifier: Apache-2.0
// A recording is a flat list of commands with everything bound: each launch has a cl_kernel of its own whose arguments
// are set, so that a replay is one driver call per launch and takes no lock.
//
// cl_khr_command_buffer is not used: the one driver here that has it, PoCL 3.1, gave right results and took 7.1 us per
// launch of a small kernel, where these calls take 3.5 us.
#pragma once

#include <variant>
#include <vector>

#include "kernel.h"

namespace backplane::opencl {

class Event;
class Queue;

struct LaunchStep {
  const Launch* launch;
  cl_kernel kernel;
};
struct CopyStep {
  bp_view target, source;
  uint64_t bytes;
};
struct FillStep {
  bp_view target;
  char pattern[8];
  uint32_t pattern_bytes;
  uint64_t bytes;
};
struct RecordStep {
  Event* event;
};
struct WaitStep {
  Event* event;
};
using Step = std::variant<LaunchStep, CopyStep, FillStep, RecordStep, WaitStep>;

class Recording {
 public:
  Recording() = default;
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  void add(const Step& step) { steps_.push_back(step); }
  void add_launch(const Launch& launch, const Operands& operands);
  void run(Queue& queue) const;

 private:
  std::vector<Step> steps_;
};

}  // namespace backplane::opencl
