// SPDX-License-Identifier: Apache-2.0
// Events: a bp_event is the marker that a queue put in, or the failure that the queue was in at that time.
#pragma once

#include "backplane/plugin.h"
#include "loader.h"

namespace backplane::opencl {

class Device;

class Event {
 public:
  explicit Event(Device& device) : device_(device) {}
  ~Event() { reset(); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  bp_status sync(uint64_t timeout_ns, bp_error* error);

 private:
  friend class Queue;
  void reset();
  /// How the recorded work stands: BP_OK, BP_NOT_READY; notes a failure.
  bp_status look();

  Device& device_;
  cl_event event_ = nullptr;  // NULL: complete
  bool failed_ = false;
  bp_error failure_{};
};

}  // namespace backplane::opencl
