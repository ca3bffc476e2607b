// SPDX-License-Identifier: Apache-2.0
#include "event.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "device.h"

namespace backplane::opencl {

void Event::reset() {
  if (event_ != nullptr) cl().ReleaseEvent(event_);
  event_ = nullptr;
  failed_ = false;
}

bp_status Event::look() {
  if (event_ == nullptr) return BP_OK;
  cl_int status = CL_COMPLETE;
  device_.check(cl().GetEventInfo(event_, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status), &status, nullptr),
                "clGetEventInfo");
  if (status > CL_COMPLETE) return BP_NOT_READY;
  reset();
  if (status < 0) {
    try {
      device_.check(status, "queued work", true);
    } catch (...) {
      failure_ = bp_error{};
      failure_.size = sizeof(failure_);
      sdk::report_current_exception(&failure_);
      failed_ = true;
    }
  }
  return BP_OK;
}

bp_status Event::sync(uint64_t timeout_ns, bp_error* error) {
  device_.need_usable();
  if (event_ != nullptr && timeout_ns == UINT64_MAX) {
    const cl_int code = cl().WaitForEvents(1, &event_);
    if (code != CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST) device_.check(code, "clWaitForEvents", true);
  }
  bp_status status = look();
  // OpenCL has no wait with a limit: look again, less often as time goes by.
  const auto start = std::chrono::steady_clock::now();
  int64_t pause_us = 5;
  for (; status == BP_NOT_READY && timeout_ns != 0; pause_us = std::min<int64_t>(2 * pause_us, 500)) {
    const auto spent = std::chrono::steady_clock::now() - start;
    if (static_cast<uint64_t>(std::chrono::nanoseconds(spent).count()) >= timeout_ns) break;
    std::this_thread::sleep_for(std::chrono::microseconds(pause_us));
    status = look();
  }
  if (status != BP_OK || !failed_) return status;
  if (error != nullptr) *error = failure_;
  return failure_.code;
}

}  // namespace backplane::opencl
