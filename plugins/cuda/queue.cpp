// SPDX-License-Identifier: Apache-2.0
#include "queue.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include "device.h"

namespace backplane::cuda {
namespace {

constexpr uint64_t kPiece = 8u << 20;        // staged at once
constexpr uint64_t kMostStaged = 64u << 20;  // of one queue, in flight
constexpr uint64_t kSmall = 64u << 10;       // the driver's own staging is as good below

}  // namespace

CUdeviceptr checked(const bp_view& view, uint64_t bytes) {
  const auto* buffer = reinterpret_cast<const Buffer*>(view.buffer);
  if (buffer == nullptr || view.offset > buffer->bytes || bytes > buffer->bytes - view.offset) {
    throw sdk::Failure(BP_E_INVALID_ARGUMENT, "[queue] " + std::to_string(bytes) + " bytes at offset " +
                                                  std::to_string(view.offset) + " lie outside a buffer of " +
                                                  std::to_string(buffer != nullptr ? buffer->bytes : 0) + " bytes");
  }
  return buffer->address + view.offset;
}

Event::~Event() {
  if (event_ == nullptr) return;
  const Current current(device_.context());
  cu().EventDestroy(event_);
}

CUevent Event::get() {
  if (event_ == nullptr) device_.check(cu().EventCreate(&event_, CU_EVENT_DISABLE_TIMING), "cuEventCreate");
  return event_;
}

bp_status Event::sync(uint64_t timeout_ns, bp_error* /*error*/) {
  const Current current = device_.enter();
  if (event_ == nullptr) return BP_OK;
  if (timeout_ns == UINT64_MAX) {
    device_.check(cu().EventSynchronize(event_), "cuEventSynchronize");
    return BP_OK;
  }
  // CUDA has no wait with a limit: look again, less often as time goes by.
  const auto start = std::chrono::steady_clock::now();
  for (int64_t pause_us = 1;; pause_us = std::min<int64_t>(2 * pause_us, 200)) {
    const CUresult code = cu().EventQuery(event_);
    if (code != CUDA_ERROR_NOT_READY) {
      device_.check(code, "cuEventQuery");
      return BP_OK;
    }
    const auto spent = std::chrono::steady_clock::now() - start;
    if (static_cast<uint64_t>(std::chrono::nanoseconds(spent).count()) >= timeout_ns) return BP_NOT_READY;
    std::this_thread::sleep_for(std::chrono::microseconds(pause_us));
  }
}

Recording::~Recording() {
  const Current current(device_.context());
  cu().GraphExecDestroy(executable_);
}

Queue::Queue(Device& device) : device_(device) {
  device_.check(cu().StreamCreate(&stream_, CU_STREAM_NON_BLOCKING), "cuStreamCreate");
}

Queue::~Queue() {
  const Current current(device_.context());
  cu().StreamSynchronize(stream_);
  reclaim(0);
  cu().StreamDestroy(stream_);
}

void Queue::not_while_capturing(const char* call) const {
  if (capturing_) {
    throw sdk::Failure(BP_E_INVALID_ARGUMENT, std::string("[capture] ") + call +
                                                  " cannot be recorded; call it before begin or after end");
  }
}

void Queue::check(CUresult code, const char* what) const {
  if (code == CUDA_SUCCESS) [[likely]] return;
  std::string after;
  for (size_t i = std::min(next_, last_.size()); i > 0; --i) {  // oldest first
    after += std::string(after.empty() ? "launches that ended with " : ", ") + std::string(last_[(next_ - i) % last_.size()].text);
  }
  device_.check(code, what, after);
}

/// Gives staging memory back whose copy is done; waits until at most `keep` bytes of it are in flight.
void Queue::reclaim(uint64_t keep) {
  while (!staged_.empty()) {
    Staged& oldest = staged_.front();
    if (cu().EventQuery(oldest.done) == CUDA_ERROR_NOT_READY) {
      if (staged_bytes_ <= keep) return;
      cu().EventSynchronize(oldest.done);  // how it ended, finish tells
    }
    cu().EventDestroy(oldest.done);
    staged_bytes_ -= oldest.block->bytes;
    staged_.pop_front();
  }
}

void Queue::upload(const bp_view& target, const void* source, uint64_t bytes, bool stable) {
  const Current current = device_.enter();
  not_while_capturing("upload");
  if (bytes == 0) return;
  CUdeviceptr to = checked(target, bytes);
  if (stable) return check(cu().MemcpyHtoDAsync(to, source, bytes, stream_), "cuMemcpyHtoDAsync");
  const char* from = static_cast<const char*>(source);
  while (bytes != 0) {
    const uint64_t n = std::min(bytes, kPiece);
    reclaim(kMostStaged - n);
    Staged piece{nullptr, device_.alloc(n, BP_MEMORY_STAGING)};
    std::memcpy(piece.block->host, from, n);
    check(cu().MemcpyHtoDAsync(to, piece.block->host, n, stream_), "cuMemcpyHtoDAsync");
    check(cu().EventCreate(&piece.done, CU_EVENT_DISABLE_TIMING), "cuEventCreate");
    staged_.push_back(std::move(piece));
    staged_bytes_ += n;
    check(cu().EventRecord(staged_.back().done, stream_), "cuEventRecord");
    from += n, to += n, bytes -= n;
  }
}

/// Copies to memory that is not page-locked go through two pieces in turn: one arrives while the other is copied on.
void Queue::download(void* target, const bp_view& source, uint64_t bytes) {
  const Current current = device_.enter();
  not_while_capturing("download");
  if (bytes == 0) return;
  CUdeviceptr from = checked(source, bytes);
  if (bytes <= kSmall) return check(cu().MemcpyDtoHAsync(target, from, bytes, stream_), "cuMemcpyDtoHAsync");
  const uint64_t size = std::min(bytes, kPiece);
  const std::unique_ptr<Buffer> pieces[2] = {device_.alloc(size, BP_MEMORY_STAGING), device_.alloc(size, BP_MEMORY_STAGING)};
  Event done[2] = {Event(device_), Event(device_)};
  const uint64_t count = (bytes + size - 1) / size;
  char* to = static_cast<char*>(target);
  const auto length = [&](uint64_t i) { return std::min(size, bytes - i * size); };
  for (uint64_t i = 0; i <= count; ++i) {
    if (i < count) {
      check(cu().MemcpyDtoHAsync(pieces[i % 2]->host, from + i * size, length(i), stream_), "cuMemcpyDtoHAsync");
      check(cu().EventRecord(done[i % 2].get(), stream_), "cuEventRecord");
    }
    if (i == 0) continue;
    check(cu().EventSynchronize(done[(i - 1) % 2].get()), "cuEventSynchronize");
    std::memcpy(to + (i - 1) * size, pieces[(i - 1) % 2]->host, length(i - 1));
  }
}

void Queue::copy(const bp_view& target, const bp_view& source, uint64_t bytes) {
  const Current current = device_.enter();
  if (bytes == 0) return;
  check(cu().MemcpyDtoDAsync(checked(target, bytes), checked(source, bytes), bytes, stream_), "cuMemcpyDtoDAsync");
}

void Queue::fill(const bp_view& target, const void* pattern, uint32_t pattern_bytes, uint64_t bytes) {
  const Current current = device_.enter();
  if (bytes == 0) return;
  const CUdeviceptr to = checked(target, bytes);
  const uint64_t count = bytes / pattern_bytes;
  const bool aligned = to % std::min<uint32_t>(pattern_bytes, 4) == 0;
  uint32_t words[2] = {0, 0};
  std::memcpy(words, pattern, pattern_bytes);
  if (pattern_bytes == 1) {
    check(cu().MemsetD8Async(to, static_cast<unsigned char>(words[0]), count, stream_), "cuMemsetD8Async");
  } else if (aligned && pattern_bytes == 2) {
    check(cu().MemsetD16Async(to, static_cast<unsigned short>(words[0]), count, stream_), "cuMemsetD16Async");
  } else if (aligned && (pattern_bytes == 4 || words[0] == words[1])) {
    check(cu().MemsetD32Async(to, words[0], bytes / 4, stream_), "cuMemsetD32Async");
  } else if (aligned) {  // two columns of words, each with a step of 8 bytes
    for (int half = 0; half < 2; ++half) {
      check(cu().MemsetD2D32Async(to + 4u * half, 8, words[half], 1, count, stream_), "cuMemsetD2D32Async");
    }
  } else {  // as many columns of bytes as the pattern has
    for (uint32_t i = 0; i < pattern_bytes; ++i) {
      const auto byte = static_cast<const unsigned char*>(pattern)[i];
      check(cu().MemsetD2D8Async(to + i, pattern_bytes, byte, 1, count, stream_), "cuMemsetD2D8Async");
    }
  }
}

void Queue::flush() {
  const Current current = device_.enter();
  not_while_capturing("flush");  // CUDA starts work by itself
}

bp_status Queue::finish(bp_error* /*error*/) {
  const Current current = device_.enter();
  not_while_capturing("finish");
  check(cu().StreamSynchronize(stream_), "cuStreamSynchronize");
  reclaim(0);
  return BP_OK;
}

void Queue::record(Event& event) {
  const Current current = device_.enter();
  // Inside a recording it is the host or another queue that will look, so the event has to be one outside the graph.
  check(capturing_ ? cu().EventRecordWithFlags(event.get(), stream_, CU_EVENT_RECORD_EXTERNAL)
                   : cu().EventRecord(event.get(), stream_),
        "cuEventRecord");
}

void Queue::wait(Event& event) {
  const Current current = device_.enter();
  if (event.event_ == nullptr && !capturing_) return;
  check(cu().StreamWaitEvent(stream_, event.get(), capturing_ ? unsigned{CU_EVENT_WAIT_EXTERNAL} : 0u), "cuStreamWaitEvent");
}

void Queue::enqueue(Kernel& kernel, const bp_view* inputs, const bp_view* outputs, const bp_view& workspace) {
  const Current current = device_.enter();
  const Operands operands{inputs, outputs, workspace};
  for (const auto& step : kernel.steps) {
    note(step->name());
    check(step->enqueue(stream_, operands), "cuLaunchKernel");
    if (device_.synchronous() && !capturing_) [[unlikely]] {
      device_.check(cu().StreamSynchronize(stream_), "cuStreamSynchronize", std::string("kernel ") + step->name().text);
    }
  }
}

void Queue::stamp(CUevent event) {
  const Current current = device_.enter();
  not_while_capturing("stamp");
  check(cu().EventRecord(event, stream_), "cuEventRecord");
}

void Queue::begin_capture() {
  const Current current = device_.enter();
  not_while_capturing("begin");
  check(cu().StreamBeginCapture(stream_, CU_STREAM_CAPTURE_MODE_RELAXED), "cuStreamBeginCapture");
  capturing_ = true;
}

std::unique_ptr<Recording> Queue::end_capture() {
  const Current current = device_.enter();
  if (!capturing_) throw sdk::Failure(BP_E_INVALID_ARGUMENT, "[capture] end without begin on this queue");
  capturing_ = false;
  CUgraph graph = nullptr;
  check(cu().StreamEndCapture(stream_, &graph), "cuStreamEndCapture");
  CUgraphExec executable = nullptr;
  const CUresult code = cu().GraphInstantiate(&executable, graph, 0);
  cu().GraphDestroy(graph);
  check(code, "cuGraphInstantiate");
  auto recording = std::make_unique<Recording>(device_, executable);
  for (size_t i = 0; i < std::min(next_, last_.size()); ++i) recording->names_[i] = last_[i];
  return recording;
}

void Queue::replay(Recording& recording) {
  const Current current = device_.enter();
  not_while_capturing("replay");
  for (const Name& name : recording.names_) {
    if (name.text[0] != '\0') note(name);
  }
  check(cu().GraphLaunch(recording.executable_, stream_), "cuGraphLaunch");
}

}  // namespace backplane::cuda
