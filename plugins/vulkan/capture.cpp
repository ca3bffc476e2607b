// SPDX-License-Identifier: Apache-2.0
// bp.capture: a recorded command buffer that is submitted again and again.
#include "device.h"
#include "interfaces.h"

namespace backplane::vulkan {

void Stream::capture_begin() {
  std::lock_guard lock(mutex_);
  forbid_capture("capture begin");
  gpu_.require_alive();
  auto recording = std::make_unique<Recording>(memory_);
  recording->pool = create_pool(gpu_);
  allocate_commands(gpu_, recording->pool, recording->commands);
  recording->recorder.begin(recording->commands, true);
  recording_ = std::move(recording);
}

std::unique_ptr<Recording> Stream::capture_end() {
  std::lock_guard lock(mutex_);
  if (recording_ == nullptr) throw sdk::Failure(BP_E_INVALID_ARGUMENT, "[capture end] the queue is not being captured");
  std::unique_ptr<Recording> recording = std::move(recording_);
  recording->recorder.end();
  return recording;
}

void Stream::replay(const Recording& recording) {
  for (const Event& event : recording.waits) wait(event);
  {
    std::lock_guard lock(mutex_);
    forbid_capture("replay");
    if (ready("replay")) submit(&recording);
  }
  for (Event* event : recording.records) record(*event);
}

Recording::~Recording() {
  for (const Allocation& allocation : staging) memory.give(allocation);
  destroy_descriptor_pools(memory.gpu(), commands);
  if (pool != VK_NULL_HANDLE) memory.gpu().vk.DestroyCommandPool(memory.gpu().handle, pool, nullptr);
}

namespace {

Queue& of(bp_queue* queue) {
  if (queue == nullptr) throw sdk::Failure(BP_E_INVALID_ARGUMENT, "[capture] queue is NULL");
  return *reinterpret_cast<Queue*>(queue);
}

bp_status begin(bp_queue* queue, bp_error* error) noexcept {
  return sdk::guard(error, [&] { of(queue).stream->capture_begin(); });
}
bp_status end(bp_queue* queue, bp_recording** out, bp_error* error) noexcept {
  return sdk::guard(error, [&] {
    if (out == nullptr) throw sdk::Failure(BP_E_INVALID_ARGUMENT, "[capture] out is NULL");
    *out = reinterpret_cast<bp_recording*>(of(queue).stream->capture_end().release());
  });
}
bp_status replay(bp_queue* queue, bp_recording* recording, bp_error* error) noexcept {
  return sdk::guard(error, [&] {
    if (recording == nullptr) throw sdk::Failure(BP_E_INVALID_ARGUMENT, "[capture] recording is NULL");
    of(queue).stream->replay(*reinterpret_cast<Recording*>(recording));
  });
}
void destroy(bp_recording* recording) noexcept { delete reinterpret_cast<Recording*>(recording); }

}  // namespace

const bp_capture_api& capture_interface() {
  static const bp_capture_api table{sizeof(bp_capture_api), BP_VERSION(1, 0), begin, end, replay, destroy};
  return table;
}

}  // namespace backplane::vulkan
