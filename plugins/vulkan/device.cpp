// SPDX-License-Identifier: Apache-2.0
#include "device.h"

#include "backplane/codegen/answers.h"
#include "vulkan_build_id.h"

namespace backplane::vulkan {

VulkanDevice::VulkanDevice(const Driver& driver, const Compiler& compiler, uint32_t index)
    : gpu_(driver, index), memory_(gpu_), pipelines_(gpu_, compiler) {
  // llvmpipe generates code when a pipeline is dispatched first, not when it is created; a dispatch of no groups is
  // enough, and so prepare takes that time instead of the first launch.
  if (!gpu_.adapter.is_cpu()) return;
  dummy_ = std::make_unique<Buffer>(memory_, memory_.take(256, BP_MEMORY_DEVICE));
  warm_stream_ = std::make_shared<Stream>(memory_);
  pipelines_.set_warm([this](const Pipeline& pipeline) { warm_stream_->warm(pipeline, dummy_->allocation); });
}

bp_memory_usage VulkanDevice::usage() {
  const uint64_t used = memory_.used();
  uint64_t available = 0;
  if (gpu_.memory_budget) {
    const auto budget = memory_.budget();
    const uint32_t heap = memory_.device_heap();
    if (budget.heapBudget[heap] > budget.heapUsage[heap]) available = budget.heapBudget[heap] - budget.heapUsage[heap];
    available += memory_.reserved() > used ? memory_.reserved() - used : 0;
  }
  return {sizeof(bp_memory_usage), 0, used, available};
}

std::unique_ptr<Event> VulkanDevice::create_event() {
  gpu_.require_alive();
  return std::make_unique<Event>();
}

void VulkanDevice::query(const bp_op& op, sdk::Support& support) {
  gpu_.require_alive();
  codegen::answer_query(op, gpu_.facts, "vulkan", support);
}

void VulkanDevice::variants(const bp_op& op, std::vector<bp_variant>& list) {
  gpu_.require_alive();
  codegen::answer_variants(op, gpu_.facts, BACKPLANE_VULKAN_OWN_ID, list);
}

std::unique_ptr<Kernel> VulkanDevice::prepare(const bp_op& op, const char* variant) {
  gpu_.require_alive();
  return std::make_unique<Kernel>(memory_, pipelines_, codegen::choose_variant(op, gpu_.facts, "vulkan", variant));
}

std::vector<bp_metric> VulkanDevice::sample() {
  gpu_.require_alive();
  const auto bytes = [](const char* name, uint64_t value) {
    bp_metric metric{sizeof(bp_metric), BP_UNIT_BYTES, {}, static_cast<double>(value)};
    sdk::copy_text(metric.name, sizeof(metric.name), name);
    return metric;
  };
  std::vector<bp_metric> metrics{bytes("memory.used", memory_.used()), bytes("memory.reserved", memory_.reserved())};
  if (gpu_.memory_budget) {  // of the heap, all processes together
    const auto budget = memory_.budget();
    metrics.push_back(bytes("memory.heap_used", budget.heapUsage[memory_.device_heap()]));
    metrics.push_back(bytes("memory.heap_budget", budget.heapBudget[memory_.device_heap()]));
  }
  return metrics;
}

void* VulkanDevice::native(void* handle, uint32_t what) {
  switch (what) {
    case BP_NATIVE_DEVICE:
      return static_cast<VulkanDevice*>(handle)->gpu_.handle;
    case BP_NATIVE_QUEUE:
      return static_cast<Queue*>(handle)->stream->native();
    case BP_NATIVE_BUFFER:
      return reinterpret_cast<void*>(static_cast<Buffer*>(handle)->allocation.block->buffer);
    default:
      throw sdk::Failure(BP_E_UNSUPPORTED, "[native] unknown kind of object " + std::to_string(what));
  }
}

}  // namespace backplane::vulkan
