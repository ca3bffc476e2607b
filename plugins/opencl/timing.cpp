// SPDX-License-Identifier: Apache-2.0
#include "timing.h"

#include <vector>

#include "device.h"

namespace backplane::opencl {
namespace {

struct Timer {
  Timer(Device& device, uint32_t count) : device(device), stamps(count, nullptr) {}
  ~Timer() {
    for (const cl_event event : stamps) {
      if (event != nullptr) cl().ReleaseEvent(event);
    }
  }
  Device& device;
  std::vector<cl_event> stamps;  // NULL: not put in
};
Timer& of(bp_timer* timer) { return *reinterpret_cast<Timer*>(timer); }
Device& of(bp_device* device) { return *reinterpret_cast<Device*>(device); }

void need(bool condition, const char* what) {
  if (!condition) throw sdk::Failure(BP_E_INVALID_ARGUMENT, what);
}

bp_status info(bp_device* device, bp_timing_info* out, bp_error* error) noexcept {
  return sdk::guard(error, [&] {
    need(device != nullptr && out != nullptr, "[timing] device or out is NULL");
    const bp_timing_info value{sizeof(bp_timing_info), 64, 1.0, of(device).entry().profiling_resolution};
    sdk::write_output(out, value, sizeof(value));
  });
}
bp_status create(bp_device* device, uint32_t count, bp_timer** out, bp_error* error) noexcept {
  return sdk::guard(error, [&] {
    need(device != nullptr && out != nullptr, "[timing] device or out is NULL");
    *out = reinterpret_cast<bp_timer*>(new Timer(of(device), count));
  });
}
void destroy(bp_timer* timer) noexcept { delete reinterpret_cast<Timer*>(timer); }

bp_status stamp(bp_queue* queue, bp_timer* timer, uint32_t index, bp_error* error) noexcept {
  return sdk::guard(error, [&] {
    need(queue != nullptr && timer != nullptr, "[timing] queue or timer is NULL");
    need(index < of(timer).stamps.size(), "[timing] the index is beyond the timer's stamps");
    const cl_event event = reinterpret_cast<Queue*>(queue)->stamp();
    cl_event& slot = of(timer).stamps[index];
    if (slot != nullptr) cl().ReleaseEvent(slot);
    slot = event;
  });
}

bp_status read(bp_timer* timer, uint32_t first, uint32_t count, uint64_t* ticks, bp_error* error) noexcept {
  return sdk::guard(error, [&]() -> bp_status {
    need(timer != nullptr && (ticks != nullptr || count == 0), "[timing] timer or ticks is NULL");
    Timer& all = of(timer);
    need(first <= all.stamps.size() && count <= all.stamps.size() - first, "[timing] the range is beyond the stamps");
    std::vector<cl_ulong> values(count);
    for (uint32_t i = 0; i < count; ++i) {
      const cl_event event = all.stamps[first + i];
      if (event == nullptr) return BP_NOT_READY;
      cl_int status = CL_COMPLETE;
      all.device.check(cl().GetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status), &status, nullptr),
                       "clGetEventInfo");
      if (status > CL_COMPLETE) return BP_NOT_READY;
      all.device.check(status, "queued work", true);
      const cl_int code =
          cl().GetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof(cl_ulong), &values[i], nullptr);
      all.device.check(code, "clGetEventProfilingInfo");
    }
    std::copy(values.begin(), values.end(), ticks);
    return BP_OK;
  });
}

bp_status calibrate(bp_device* device, uint64_t* ticks, uint64_t* host_ns, uint64_t* deviation_ns,
                    bp_error* error) noexcept {
  return sdk::guard(error, [&] {
    need(device != nullptr && ticks != nullptr && host_ns != nullptr && deviation_ns != nullptr,
         "[timing] device or an output is NULL");
    of(device).calibrate(ticks, host_ns, deviation_ns);
  });
}

}  // namespace

const bp_timing_api& timing_interface() {
  static const bp_timing_api table{
      sizeof(bp_timing_api), BP_VERSION(1, 0), info, create, destroy, stamp, read, calibrate};
  return table;
}

}  // namespace backplane::opencl
