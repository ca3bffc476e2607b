// SPDX-License-Identifier: Apache-2.0
#include "timing.h"

#include "device.h"

namespace backplane::vulkan {

Timer::Timer(Gpu& gpu, uint32_t count) : gpu_(gpu), stamps_(count), reached_(count, false) {
  VkQueryPoolCreateInfo info{VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO};
  info.queryType = VK_QUERY_TYPE_TIMESTAMP;
  info.queryCount = count;
  gpu.check(gpu.vk.CreateQueryPool(gpu.handle, &info, nullptr, &pool_), "vkCreateQueryPool");
}

Timer::~Timer() { gpu_.vk.DestroyQueryPool(gpu_.handle, pool_, nullptr); }

void Timer::stamp(Queue& queue, uint32_t index) {
  queue.stream->stamp(pool_, index, stamps_[index]);
  reached_[index] = true;
}

bp_status Timer::read(uint32_t first, uint32_t count, uint64_t* ticks, bp_error* error) {
  gpu_.require_alive();
  for (uint32_t i = first; i < first + count; ++i) {
    if (!reached_[i]) return BP_NOT_READY;
    // Not the query's own availability: an older stamp's value stays available until the new one is reached.
    if (const bp_status status = stamps_[i].sync(0, error); status != BP_OK) return status;
  }
  if (count == 0) return BP_OK;
  const VkResult result = gpu_.vk.GetQueryPoolResults(gpu_.handle, pool_, first, count, count * sizeof(uint64_t), ticks,
                                                      sizeof(uint64_t), VK_QUERY_RESULT_64_BIT);
  if (result == VK_NOT_READY) return BP_NOT_READY;
  gpu_.check(result, "vkGetQueryPoolResults");
  return BP_OK;
}

bp_timing_info VulkanDevice::timing_info() {
  need_timestamps();
  const double ns = gpu_.adapter.properties.limits.timestampPeriod;
  return {sizeof(bp_timing_info), gpu_.adapter.timestamp_bits, ns, ns};
}

std::unique_ptr<Timer> VulkanDevice::create_timer(uint32_t stamps) {
  need_timestamps();
  return std::make_unique<Timer>(gpu_, stamps);
}

void VulkanDevice::calibrate(uint64_t* ticks, uint64_t* host_ns, uint64_t* deviation_ns) {
  need_timestamps();
  if (!gpu_.calibrated) {
    throw sdk::Failure(BP_E_UNSUPPORTED, "[timing] this driver compares no clocks (VK_EXT_calibrated_timestamps)");
  }
  const VkCalibratedTimestampInfoEXT clocks[] = {
      {VK_STRUCTURE_TYPE_CALIBRATED_TIMESTAMP_INFO_EXT, nullptr, VK_TIME_DOMAIN_DEVICE_EXT},
      {VK_STRUCTURE_TYPE_CALIBRATED_TIMESTAMP_INFO_EXT, nullptr, VK_TIME_DOMAIN_CLOCK_MONOTONIC_EXT}};
  uint64_t times[2], deviation;
  gpu_.check(gpu_.vk.GetCalibratedTimestampsEXT(gpu_.handle, 2, clocks, times, &deviation),
             "vkGetCalibratedTimestampsEXT");
  *ticks = times[0], *host_ns = times[1], *deviation_ns = deviation;
}

void VulkanDevice::need_timestamps() {
  gpu_.require_alive();
  if (gpu_.adapter.timestamp_bits == 0) throw sdk::Failure(BP_E_UNSUPPORTED, "[timing] this device has no timestamps");
}

}  // namespace backplane::vulkan
