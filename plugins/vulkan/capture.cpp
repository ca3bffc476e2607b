// SPDX-License-Identifier: Apache-2.0
// bp.capture: a recorded command buffer that is submitted again and again.
#include "device.h"

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
  commands.destroy_bindings(memory.gpu());
  if (pool != VK_NULL_HANDLE) memory.gpu().vk.DestroyCommandPool(memory.gpu().handle, pool, nullptr);
}

}  // namespace backplane::vulkan
