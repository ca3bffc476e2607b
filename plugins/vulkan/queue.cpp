// SPDX-License-Identifier: Apache-2.0
// Recording, submitting, failing. Copies between host and device are in transfer.cpp, recordings in capture.cpp.
#include "queue.h"

#include <algorithm>

namespace backplane::vulkan {
namespace {

// Enough to make a submission's own cost small, few enough that the device starts while the host still records.
constexpr uint32_t kMostCommands = 64;

}  // namespace

VkCommandPool create_pool(Gpu& gpu) {
  VkCommandPoolCreateInfo info{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
  info.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
  info.queueFamilyIndex = gpu.adapter.queue_family;
  VkCommandPool pool = VK_NULL_HANDLE;
  gpu.check(gpu.vk.CreateCommandPool(gpu.handle, &info, nullptr, &pool), "vkCreateCommandPool");
  return pool;
}

void allocate_commands(Gpu& gpu, VkCommandPool pool, Commands& commands) {
  VkCommandBufferAllocateInfo info{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
  info.commandPool = pool;
  info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
  info.commandBufferCount = 1;
  gpu.check(gpu.vk.AllocateCommandBuffers(gpu.handle, &info, &commands.handle), "vkAllocateCommandBuffers");
}

Stream::Stream(Memory& memory) : memory_(memory), gpu_(memory.gpu()), queue_(gpu_.next_queue()), recorder_(gpu_) {
  gpu_.require_alive();
  VkSemaphoreTypeCreateInfo timeline{VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO};
  timeline.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
  VkSemaphoreCreateInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, &timeline};
  gpu_.check(gpu_.vk.CreateSemaphore(gpu_.handle, &info, nullptr, &semaphore_), "vkCreateSemaphore");
  try {
    pool_ = create_pool(gpu_);
  } catch (...) {
    gpu_.vk.DestroySemaphore(gpu_.handle, semaphore_, nullptr);
    throw;
  }
}

Stream::~Stream() {
  for (Deferred& job : deferred_) release(job);
  for (const auto& commands : in_flight_) commands->destroy_bindings(gpu_);
  for (const auto& commands : free_) commands->destroy_bindings(gpu_);
  if (open_ != nullptr) open_->destroy_bindings(gpu_);
  gpu_.vk.DestroyCommandPool(gpu_.handle, pool_, nullptr);
  gpu_.vk.DestroySemaphore(gpu_.handle, semaphore_, nullptr);
}

Queue::~Queue() {
  bp_error ignored{};
  try {
    stream->finish(&ignored);
  } catch (...) {  // a lost device has nothing left to wait for
  }
}

void Stream::forbid_capture(const char* call) const {
  if (recording_ != nullptr) {
    throw sdk::Failure(BP_E_INVALID_ARGUMENT, std::string("[") + call + "] not while the queue is being captured");
  }
}

/// Whether work is to be recorded: not when the stream has failed. Throws when the device is lost.
bool Stream::ready(const char* /*call*/) const {
  gpu_.require_alive();
  return !failed_;
}

Commands& Stream::free_commands() {
  if (free_.empty() && !in_flight_.empty() && in_flight_.front()->value <= completed()) {
    while (!in_flight_.empty() && in_flight_.front()->value <= completed_) {
      free_.push_back(std::move(in_flight_.front()));
      in_flight_.pop_front();
    }
  }
  if (free_.empty()) {
    auto fresh = std::make_unique<Commands>();
    allocate_commands(gpu_, pool_, *fresh);
    free_.push_back(std::move(fresh));
  }
  open_ = std::move(free_.back());
  free_.pop_back();
  return *open_;
}

Recorder& Stream::recorder() {
  if (recording_ != nullptr) return recording_->recorder;
  if (recorder_.is_open() && recorder_.count() >= kMostCommands) submit();
  if (!recorder_.is_open()) recorder_.begin(free_commands(), false);
  return recorder_;
}

uint64_t Stream::completed() {
  if (completed_ < submitted_) {
    gpu_.check(gpu_.vk.GetSemaphoreCounterValue(gpu_.handle, semaphore_, &completed_), "vkGetSemaphoreCounterValue");
  }
  return completed_;
}

bool Stream::idle() { return !recorder_.is_open() && waits_.empty() && completed() >= submitted_; }

void Stream::fail(const bp_error& failure, bool inherited) {
  failed_ = true;
  inherited_ = inherited;
  failure_ = failure;
  if (failure_.scope == BP_SCOPE_CALL) failure_.scope = BP_SCOPE_QUEUE;
}

/// Submits what is recorded, then `recording` if there is one, as one submission. A failure becomes the stream's.
void Stream::submit(const Recording* recording) {
  if (!recorder_.is_open() && waits_.empty() && recording == nullptr) return;
  const uint64_t value = submitted_ + 1;
  std::vector<VkCommandBuffer> buffers;
  try {
    if (recorder_.is_open()) {
      recorder_.end();
      buffers.push_back(open_->handle);
    }
    if (recording != nullptr) buffers.push_back(recording->commands.handle);
    submit_commands(buffers, value);
  } catch (...) {
    bp_error failure{};
    failure.size = sizeof(failure);
    sdk::report_current_exception(&failure);
    fail(failure, false);
    failed_values_[value] = failure_;
    if (failed_values_.size() > 16) failed_values_.erase(failed_values_.begin());
    // The value has to be reached all the same: others may wait for it.
    if (!gpu_.lost()) {
      wait_all();
      VkSemaphoreSignalInfo signal{VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO, nullptr, semaphore_, value};
      gpu_.vk.SignalSemaphore(gpu_.handle, &signal);
    }
  }
  submitted_ = value;
  for (Wait& wait : waits_) deferred_.push_back({value, {}, nullptr, std::move(wait.stream)});
  waits_.clear();
  if (open_ != nullptr) {
    open_->value = value;
    in_flight_.push_back(std::move(open_));
  }
}

void Stream::submit_commands(const std::vector<VkCommandBuffer>& buffers, uint64_t value) {
  std::vector<VkSemaphore> semaphores;
  std::vector<uint64_t> values;
  for (const Wait& wait : waits_) {
    semaphores.push_back(wait.semaphore);
    values.push_back(wait.value);
  }
  const std::vector<VkPipelineStageFlags> stages(semaphores.size(), VK_PIPELINE_STAGE_ALL_COMMANDS_BIT);
  VkTimelineSemaphoreSubmitInfo timeline{VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO};
  timeline.waitSemaphoreValueCount = static_cast<uint32_t>(values.size());
  timeline.pWaitSemaphoreValues = values.data();
  timeline.signalSemaphoreValueCount = 1;
  timeline.pSignalSemaphoreValues = &value;
  VkSubmitInfo info{VK_STRUCTURE_TYPE_SUBMIT_INFO, &timeline};
  info.waitSemaphoreCount = static_cast<uint32_t>(semaphores.size());
  info.pWaitSemaphores = semaphores.data();
  info.pWaitDstStageMask = stages.data();
  info.commandBufferCount = static_cast<uint32_t>(buffers.size());
  info.pCommandBuffers = buffers.data();
  info.signalSemaphoreCount = 1;
  info.pSignalSemaphores = &semaphore_;
  std::lock_guard lock(queue_.mutex);
  gpu_.check(gpu_.vk.QueueSubmit(queue_.handle, 1, &info, VK_NULL_HANDLE), "vkQueueSubmit");
}

void Stream::enqueue(const Kernel& kernel, const bp_view* inputs, const bp_view* outputs, const bp_view& workspace) {
  std::lock_guard lock(mutex_);
  if (!ready("enqueue")) return;
  for (const PreparedLaunch& launch : kernel.launches()) recorder().launch(launch, inputs, outputs, workspace);
}

void Stream::warm(const Pipeline& pipeline, const Allocation& dummy) {
  std::lock_guard lock(mutex_);
  recorder().launch_nothing(pipeline, dummy);
  submit();
  if (!failed_) wait_all();
  failed_ = false;
}

void Stream::stamp(VkQueryPool pool, uint32_t index, Event& done) {
  std::lock_guard lock(mutex_);
  forbid_capture("stamp");
  if (ready("stamp")) recorder().stamp(pool, index);
  done.stream = shared_from_this();
  done.value = pending_value();
  done.failed = failed_;
  if (failed_) done.failure = failure_;
}

void Stream::flush() {
  {
    std::lock_guard lock(mutex_);
    forbid_capture("flush");
    if (!ready("flush")) return;
    submit();
    completed();
  }
  drain();
}

bp_status Stream::finish(bp_error* error) {
  uint64_t value = 0;
  {
    std::lock_guard lock(mutex_);
    forbid_capture("finish");
    gpu_.require_alive();
    submit();
    value = submitted_;
  }
  bp_error ignored{};
  await(value, UINT64_MAX, &ignored);
  std::lock_guard lock(mutex_);
  if (!failed_) return BP_OK;
  failed_ = false;
  if (error != nullptr) *error = failure_;
  return inherited_ ? static_cast<bp_status>(BP_E_DEPENDENCY) : failure_.code;
}

bp_status Stream::await(uint64_t value, uint64_t timeout_ns, bp_error* error) {
  {
    std::lock_guard lock(mutex_);
    gpu_.require_alive();
    if (recording_ == nullptr && value > submitted_) submit();
  }
  VkSemaphoreWaitInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO};
  info.semaphoreCount = 1;
  info.pSemaphores = &semaphore_;
  info.pValues = &value;
  const VkResult result = gpu_.vk.WaitSemaphores(gpu_.handle, &info, timeout_ns);
  if (result == VK_TIMEOUT) return BP_NOT_READY;
  gpu_.check(result, "vkWaitSemaphores");
  drain();
  std::lock_guard lock(mutex_);
  const auto failed = failed_values_.find(value);
  if (failed == failed_values_.end()) return BP_OK;
  if (error != nullptr) *error = failed->second;
  return failed->second.code;
}

/// Waits for what has been submitted; for paths that are slow anyway.
void Stream::wait_all() {
  VkSemaphoreWaitInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO};
  info.semaphoreCount = 1;
  info.pSemaphores = &semaphore_;
  info.pValues = &submitted_;
  gpu_.check(gpu_.vk.WaitSemaphores(gpu_.handle, &info, UINT64_MAX), "vkWaitSemaphores");
  completed_ = submitted_;
}

void Stream::record(Event& event) {
  std::lock_guard lock(mutex_);
  gpu_.require_alive();
  if (recording_ != nullptr) {
    recording_->records.push_back(&event);
    return;
  }
  event.stream = shared_from_this();
  event.value = pending_value();
  event.failed = failed_;
  if (failed_) event.failure = failure_;
}

void Stream::wait(const Event& event) {
  gpu_.require_alive();
  if (event.stream == nullptr || (event.stream.get() == this && !event.failed)) return;
  bp_error failure = event.failure;
  bool failed = event.failed;
  if (!failed) {
    Stream& other = *event.stream;
    std::lock_guard lock(other.mutex_);
    // Semaphores of one VkQueue are only waited for after what signals them was submitted.
    if (other.recording_ == nullptr && event.value > other.submitted_) other.submit();
    if (const auto at = other.failed_values_.find(event.value); at != other.failed_values_.end()) {
      failed = true;
      failure = at->second;
    }
  }
  std::lock_guard lock(mutex_);
  if (recording_ != nullptr) {
    recording_->waits.push_back(event);
    return;
  }
  if (failed) {
    if (!failed_) fail(failure, true);
    return;
  }
  if (recorder_.is_open()) submit();  // earlier work need not wait
  waits_.push_back({event.stream->semaphore_, event.value, event.stream});
}

bp_status Event::sync(uint64_t timeout_ns, bp_error* error) {
  if (failed) {
    if (error != nullptr) *error = failure;
    return failure.code;
  }
  return stream == nullptr ? static_cast<bp_status>(BP_OK) : stream->await(value, timeout_ns, error);
}

}  // namespace backplane::vulkan
