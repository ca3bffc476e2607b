// SPDX-License-Identifier: Apache-2.0
#include "timing.h"

#include <algorithm>

#include "device.h"

namespace backplane::opencl {

Timer::~Timer() {
  for (const cl_event event : stamps_) {
    if (event != nullptr) cl().ReleaseEvent(event);
  }
}

void Timer::stamp(Queue& queue, uint32_t index) {
  const cl_event event = queue.stamp();
  if (stamps_[index] != nullptr) cl().ReleaseEvent(stamps_[index]);
  stamps_[index] = event;
}

bp_status Timer::read(uint32_t first, uint32_t count, uint64_t* ticks, bp_error*) {
  std::vector<cl_ulong> values(count);
  for (uint32_t i = 0; i < count; ++i) {
    const cl_event event = stamps_[first + i];
    if (event == nullptr) return BP_NOT_READY;
    cl_int status = CL_COMPLETE;
    device_.check(cl().GetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status), &status, nullptr),
                  "clGetEventInfo");
    if (status > CL_COMPLETE) return BP_NOT_READY;
    device_.check(status, "queued work", true);
    const cl_int code =
        cl().GetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof(cl_ulong), &values[i], nullptr);
    device_.check(code, "clGetEventProfilingInfo");
  }
  std::copy(values.begin(), values.end(), ticks);
  return BP_OK;
}

}  // namespace backplane::opencl
