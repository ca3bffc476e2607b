// SPDX-License-Identifier: Apache-2.0
#include "queue.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "device.h"
#include "event.h"
#include "recording.h"

namespace backplane::opencl {
namespace {

constexpr uint64_t kMostStaged = 64u << 20;      // of one queue, in flight
constexpr uint64_t kMostStagedOnce = 16u << 20;  // larger uploads wait for the copy instead

const Buffer& checked(const bp_view& view, uint64_t bytes) {
  const auto* buffer = reinterpret_cast<const Buffer*>(view.buffer);
  if (buffer == nullptr || view.offset > buffer->bytes || bytes > buffer->bytes - view.offset) {
    throw sdk::Failure(BP_E_INVALID_ARGUMENT, "[queue] " + std::to_string(bytes) + " bytes at offset " +
                                                  std::to_string(view.offset) + " lie outside a buffer of " +
                                                  std::to_string(buffer != nullptr ? buffer->bytes : 0) + " bytes");
  }
  return *buffer;
}

/// PoCL (3.1) leaves a transfer out, and calls it complete, when the address on the host is that of the whole cl_mem's first
/// byte, whatever the place in it (pocl_driver_read, pocl_driver_write). Staging memory and the host's own may lie there.
bool driver_ignores(const Buffer& buffer, uint64_t place, const void* on_host) {
  return buffer.host != nullptr && on_host == buffer.host - buffer.base && place != 0;
}

}  // namespace

Queue::Queue(Device& device) : device_(device), queue_(device.new_command_queue(false)) {}

Queue::~Queue() {
  cl().Finish(queue_);
  reclaim(0);
  cl().ReleaseCommandQueue(queue_);
}

void Queue::not_while_recording(const char* call) const {
  if (recording_ != nullptr) {
    throw sdk::Failure(BP_E_INVALID_ARGUMENT, std::string("[capture] ") + call +
                                                  " cannot be recorded; call it before begin or after end");
  }
}

void Queue::reclaim(uint64_t keep) {
  while (!staged_.empty()) {
    Staged& oldest = staged_.front();
    cl_int status = CL_COMPLETE;
    cl().GetEventInfo(oldest.done, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(status), &status, nullptr);
    if (status > CL_COMPLETE) {
      if (staged_bytes_ <= keep) return;
      cl().WaitForEvents(1, &oldest.done);  // how it ended, finish tells
    }
    cl().ReleaseEvent(oldest.done);
    staged_bytes_ -= oldest.block->bytes;
    staged_.pop_front();
  }
}

void Queue::write(const Buffer& target, uint64_t offset, const void* source, uint64_t bytes, bool blocking, cl_event* done) {
  const uint64_t place = target.base + offset;
  if (!driver_ignores(target, place, source)) {
    return device_.check(cl().EnqueueWriteBuffer(queue_, target.memory, blocking ? CL_TRUE : CL_FALSE, place, bytes, source, 0,
                                                 nullptr, done),
                         "clEnqueueWriteBuffer");
  }
  device_.check(cl().EnqueueCopyBuffer(queue_, target.memory, target.memory, 0, place, bytes, 0, nullptr, done),
                "clEnqueueCopyBuffer");
  if (blocking) device_.check(cl().Finish(queue_), "clFinish", true);
}

void Queue::read(void* target, const Buffer& source, uint64_t offset, uint64_t bytes) {
  const uint64_t place = source.base + offset;
  if (driver_ignores(source, place, target)) {
    device_.check(cl().EnqueueCopyBuffer(queue_, source.memory, source.memory, place, 0, bytes, 0, nullptr, nullptr),
                  "clEnqueueCopyBuffer");
  } else {
    device_.check(cl().EnqueueReadBuffer(queue_, source.memory, CL_FALSE, place, bytes, target, 0, nullptr, nullptr),
                  "clEnqueueReadBuffer");
  }
}

void Queue::upload_staged(const Buffer& target, uint64_t offset, const void* source, uint64_t bytes) {
  reclaim(kMostStaged - std::min(kMostStaged, bytes));
  Staged piece{nullptr, device_.alloc(bytes, BP_MEMORY_STAGING)};
  std::memcpy(piece.block->host, source, bytes);
  write(target, offset, piece.block->host, bytes, false, &piece.done);
  staged_bytes_ += bytes;
  staged_.push_back(std::move(piece));
  busy_ = true;
}

void Queue::upload(const bp_view& target, const void* source, uint64_t bytes, bool stable) {
  device_.need_usable();
  not_while_recording("upload");
  if (failed_ || bytes == 0) return;
  const Buffer& buffer = checked(target, bytes);
  if (!busy_ && device_.entry().host_memory) {
    std::memcpy(buffer.host + target.offset, source, bytes);
    return;
  }
  if (!stable && bytes <= kMostStagedOnce) return upload_staged(buffer, target.offset, source, bytes);
  busy_ = true;
  write(buffer, target.offset, source, bytes, !stable, nullptr);
}

void Queue::download(void* target, const bp_view& source, uint64_t bytes) {
  device_.need_usable();
  not_while_recording("download");
  if (failed_ || bytes == 0) return;
  const Buffer& buffer = checked(source, bytes);
  if (!busy_ && device_.entry().host_memory) {
    std::memcpy(target, buffer.host + source.offset, bytes);
    return;
  }
  busy_ = true;
  read(target, buffer, source.offset, bytes);
}

void Queue::copy(const bp_view& target, const bp_view& source, uint64_t bytes) {
  device_.need_usable();
  if (failed_ || bytes == 0) return;
  checked(target, bytes), checked(source, bytes);
  if (recording_ != nullptr) return recording_->add(CopyStep{target, source, bytes});
  run_copy(target, source, bytes);
}

void Queue::run_copy(const bp_view& target, const bp_view& source, uint64_t bytes) {
  const auto& to = *reinterpret_cast<const Buffer*>(target.buffer);
  const auto& from = *reinterpret_cast<const Buffer*>(source.buffer);
  const uint64_t to_offset = to.base + target.offset, from_offset = from.base + source.offset;
  busy_ = true;
  // Staging memory is mapped: it takes part by its host address.
  const bool mapped = !device_.entry().host_memory;
  if (mapped && from.host != nullptr) {
    device_.check(cl().EnqueueWriteBuffer(queue_, to.memory, CL_FALSE, to_offset, bytes, from.host + source.offset, 0,
                                          nullptr, nullptr),
                  "clEnqueueWriteBuffer");
  } else if (mapped && to.host != nullptr) {
    device_.check(cl().EnqueueReadBuffer(queue_, from.memory, CL_FALSE, from_offset, bytes, to.host + target.offset, 0,
                                         nullptr, nullptr),
                  "clEnqueueReadBuffer");
  } else {
    device_.check(cl().EnqueueCopyBuffer(queue_, from.memory, to.memory, from_offset, to_offset, bytes, 0, nullptr,
                                         nullptr),
                  "clEnqueueCopyBuffer");
  }
}

void Queue::fill(const bp_view& target, const void* pattern, uint32_t pattern_bytes, uint64_t bytes) {
  device_.need_usable();
  if (failed_ || bytes == 0) return;
  checked(target, bytes);
  if (recording_ != nullptr) {
    FillStep step{target, {}, pattern_bytes, bytes};
    std::memcpy(step.pattern, pattern, pattern_bytes);
    return recording_->add(step);
  }
  run_fill(target, pattern, pattern_bytes, bytes);
}

void Queue::run_fill(const bp_view& target, const void* pattern, uint32_t pattern_bytes, uint64_t bytes) {
  const auto& buffer = *reinterpret_cast<const Buffer*>(target.buffer);
  // OpenCL wants the offset to be a multiple of the pattern; turned round, a pattern fits from the next such place on.
  const uint64_t offset = buffer.base + target.offset, lead = offset % pattern_bytes;
  char turned[8];
  for (uint32_t i = 0; i < pattern_bytes; ++i) {
    turned[i] = static_cast<const char*>(pattern)[(i + pattern_bytes - lead) % pattern_bytes];
  }
  busy_ = true;
  const auto put = [&](uint64_t from, uint64_t length, const char* what, uint32_t unit) {
    if (length == 0) return;
    device_.check(cl().EnqueueFillBuffer(queue_, buffer.memory, what, unit, from, length, 0, nullptr, nullptr),
                  "clEnqueueFillBuffer");
  };
  if (lead == 0) return put(offset, bytes, turned, pattern_bytes);
  const uint64_t head = std::min<uint64_t>(pattern_bytes - lead, bytes), tail = (bytes - head) % pattern_bytes;
  for (uint64_t i = 0; i < head; ++i) put(offset + i, 1, turned + lead + i, 1);
  put(offset + head, bytes - head - tail, turned, pattern_bytes);
  for (uint64_t i = 0; i < tail; ++i) put(offset + bytes - tail + i, 1, turned + i, 1);
}

void Queue::flush() {
  device_.need_usable();
  not_while_recording("flush");
  device_.check(cl().Flush(queue_), "clFlush");
}

bp_status Queue::finish(bp_error* error) {
  device_.need_usable();
  not_while_recording("finish");
  if (busy_) {
    device_.check(cl().Finish(queue_), "clFinish", true);
    reclaim(0);
    busy_ = false;
  }
  if (!failed_) return BP_OK;
  failed_ = false;
  if (error != nullptr) *error = failure_;
  return inherited_ ? static_cast<bp_status>(BP_E_DEPENDENCY) : failure_.code;
}

void Queue::fail(const bp_error& failure, bool inherited) {
  failed_ = true;
  inherited_ = inherited;
  failure_ = failure;
}

void Queue::record(Event& event) {
  device_.need_usable();
  if (recording_ != nullptr) return recording_->add(RecordStep{&event});
  run_record(event);
}

void Queue::run_record(Event& event) {
  event.reset();
  if (failed_) {
    event.failed_ = true;
    event.failure_ = failure_;
    return;
  }
  if (!busy_) return;
  device_.check(cl().EnqueueMarkerWithWaitList(queue_, 0, nullptr, &event.event_), "clEnqueueMarkerWithWaitList");
  // Another queue may wait for it, and nobody may come back here to start it.
  device_.check(cl().Flush(queue_), "clFlush");
}

void Queue::wait(Event& event) {
  device_.need_usable();
  if (recording_ != nullptr) return recording_->add(WaitStep{&event});
  run_wait(event);
}

void Queue::run_wait(Event& event) {
  if (failed_) return;
  const bp_status status = event.look();
  if (event.failed_) return fail(event.failure_, true);
  if (status == BP_OK) return;
  busy_ = true;
  device_.check(cl().EnqueueBarrierWithWaitList(queue_, 1, &event.event_, nullptr), "clEnqueueBarrierWithWaitList");
}

void Queue::enqueue(Kernel& kernel, const bp_view* inputs, const bp_view* outputs, const bp_view& workspace) {
  device_.need_usable();
  if (failed_) [[unlikely]] return;
  const Operands operands{inputs, outputs, workspace};
  if (recording_ != nullptr) {
    for (const auto& launch : kernel.launches) recording_->add_launch(*launch, operands);
    return;
  }
  busy_ = true;
  for (const auto& launch : kernel.launches) {
    device_.check(launch->enqueue(queue_, operands), "clEnqueueNDRangeKernel");
  }
}

cl_event Queue::stamp() {
  device_.need_usable();
  not_while_recording("stamp");
  if (!profiling_) {  // only queues that are timed pay for it
    const cl_command_queue timed = device_.new_command_queue(true);
    cl_event before = nullptr;
    cl_int code = cl().EnqueueMarkerWithWaitList(queue_, 0, nullptr, &before);
    if (code == CL_SUCCESS) {
      cl().Flush(queue_);
      code = cl().EnqueueBarrierWithWaitList(timed, 1, &before, nullptr);
      cl().ReleaseEvent(before);
    }
    if (code != CL_SUCCESS) cl().ReleaseCommandQueue(timed);
    device_.check(code, "clEnqueueBarrierWithWaitList");
    cl().ReleaseCommandQueue(queue_);
    queue_ = timed;
    profiling_ = true;
  }
  busy_ = true;
  cl_event event = nullptr;
  device_.check(cl().EnqueueMarkerWithWaitList(queue_, 0, nullptr, &event), "clEnqueueMarkerWithWaitList");
  return event;
}

void Queue::begin_capture() {
  device_.need_usable();
  not_while_recording("begin");
  recording_ = std::make_unique<Recording>();
}

std::unique_ptr<Recording> Queue::end_capture() {
  if (recording_ == nullptr) {
    throw sdk::Failure(BP_E_INVALID_ARGUMENT, "[capture] end without begin on this queue");
  }
  return std::move(recording_);
}

void Queue::replay(Recording& recording) {
  device_.need_usable();
  not_while_recording("replay");
  if (failed_) return;
  recording.run(*this);
}

}  // namespace backplane::opencl
