// SPDX-License-Identifier: Apache-2.0
// bp.timing: timestamps written by the device, one query per stamp.
#include "device.h"
#include "interfaces.h"

namespace backplane::vulkan {
namespace {

struct Timer {
  Timer(Gpu& gpu, uint32_t count) : gpu(gpu), stamps(count), reached(count, false) {
    VkQueryPoolCreateInfo info{VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO};
    info.queryType = VK_QUERY_TYPE_TIMESTAMP;
    info.queryCount = count;
    gpu.check(gpu.vk.CreateQueryPool(gpu.handle, &info, nullptr, &pool), "vkCreateQueryPool");
  }
  ~Timer() { gpu.vk.DestroyQueryPool(gpu.handle, pool, nullptr); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  Gpu& gpu;
  VkQueryPool pool = VK_NULL_HANDLE;
  std::vector<Event> stamps;  // when each was last written
  std::vector<bool> reached;  // whether it was ever put into a queue
};

void need(bool condition, const char* what) {
  if (!condition) throw sdk::Failure(BP_E_INVALID_ARGUMENT, what);
}
Gpu& gpu_of(bp_device* device) {
  need(device != nullptr, "[timing] device is NULL");
  Gpu& gpu = reinterpret_cast<VulkanDevice*>(device)->gpu();
  gpu.require_alive();
  if (gpu.adapter.timestamp_bits == 0) throw sdk::Failure(BP_E_UNSUPPORTED, "[timing] this device has no timestamps");
  return gpu;
}

bp_status info(bp_device* device, bp_timing_info* out, bp_error* error) noexcept {
  return sdk::guard(error, [&] {
    need(out != nullptr, "[timing] out is NULL");
    const Gpu& gpu = gpu_of(device);
    const double ns = gpu.adapter.properties.limits.timestampPeriod;
    sdk::write_output(out, bp_timing_info{sizeof(bp_timing_info), gpu.adapter.timestamp_bits, ns, ns},
                      sizeof(bp_timing_info));
  });
}
bp_status create(bp_device* device, uint32_t count, bp_timer** out, bp_error* error) noexcept {
  return sdk::guard(error, [&] {
    need(out != nullptr && count != 0, "[timing] out is NULL, or no stamps");
    *out = reinterpret_cast<bp_timer*>(new Timer(gpu_of(device), count));
  });
}
void destroy(bp_timer* timer) noexcept { delete reinterpret_cast<Timer*>(timer); }

bp_status stamp(bp_queue* queue, bp_timer* handle, uint32_t index, bp_error* error) noexcept {
  return sdk::guard(error, [&] {
    need(queue != nullptr && handle != nullptr, "[timing] queue or timer is NULL");
    Timer& timer = *reinterpret_cast<Timer*>(handle);
    need(index < timer.stamps.size(), "[timing] the index is beyond the timer's stamps");
    reinterpret_cast<Queue*>(queue)->stream->stamp(timer.pool, index, timer.stamps[index]);
    timer.reached[index] = true;
  });
}

bp_status read(bp_timer* handle, uint32_t first, uint32_t count, uint64_t* ticks, bp_error* error) noexcept {
  return sdk::guard(error, [&]() -> bp_status {
    need(handle != nullptr && (ticks != nullptr || count == 0), "[timing] timer or ticks is NULL");
    Timer& timer = *reinterpret_cast<Timer*>(handle);
    timer.gpu.require_alive();
    need(first <= timer.stamps.size() && count <= timer.stamps.size() - first,
         "[timing] the range is beyond the timer's stamps");
    for (uint32_t i = first; i < first + count; ++i) {
      if (!timer.reached[i]) return BP_NOT_READY;
      // Not the query's own availability: an older stamp's value stays available until the new one is reached.
      if (const bp_status status = timer.stamps[i].sync(0, error); status != BP_OK) return status;
    }
    if (count == 0) return BP_OK;
    const VkResult result =
        timer.gpu.vk.GetQueryPoolResults(timer.gpu.handle, timer.pool, first, count, count * sizeof(uint64_t), ticks,
                                         sizeof(uint64_t), VK_QUERY_RESULT_64_BIT);
    if (result == VK_NOT_READY) return BP_NOT_READY;
    timer.gpu.check(result, "vkGetQueryPoolResults");
    return BP_OK;
  });
}

bp_status calibrate(bp_device* device, uint64_t* ticks, uint64_t* host_ns, uint64_t* deviation_ns,
                    bp_error* error) noexcept {
  return sdk::guard(error, [&] {
    need(ticks != nullptr && host_ns != nullptr && deviation_ns != nullptr, "[timing] an output is NULL");
    Gpu& gpu = gpu_of(device);
    if (!gpu.calibrated) {
      throw sdk::Failure(BP_E_UNSUPPORTED, "[timing] this driver compares no clocks (VK_EXT_calibrated_timestamps)");
    }
    const VkCalibratedTimestampInfoEXT clocks[] = {
        {VK_STRUCTURE_TYPE_CALIBRATED_TIMESTAMP_INFO_EXT, nullptr, VK_TIME_DOMAIN_DEVICE_EXT},
        {VK_STRUCTURE_TYPE_CALIBRATED_TIMESTAMP_INFO_EXT, nullptr, VK_TIME_DOMAIN_CLOCK_MONOTONIC_EXT}};
    uint64_t times[2], deviation;
    gpu.check(gpu.vk.GetCalibratedTimestampsEXT(gpu.handle, 2, clocks, times, &deviation),
              "vkGetCalibratedTimestampsEXT");
    *ticks = times[0], *host_ns = times[1], *deviation_ns = deviation;
  });
}

}  // namespace

const bp_timing_api& timing_interface() {
  static const bp_timing_api table{
      sizeof(bp_timing_api), BP_VERSION(1, 0), info, create, destroy, stamp, read, calibrate};
  return table;
}

}  // namespace backplane::vulkan
