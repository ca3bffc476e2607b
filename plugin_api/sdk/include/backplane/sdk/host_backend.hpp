// SPDX-License-Identifier: Apache-2.0
// Ready-made parts for a device whose memory is the host's and whose work runs inside enqueue.
//
// Buffers are aligned host memory, a queue runs everything in place, events are complete once recorded. A failure in
// queued work makes the queue fail as on an asynchronous device: what follows is skipped, events recorded on it fail,
// `finish` reports the first failure once and the queue is usable again.
// A backend derives its Device from HostDevice and its kernels from HostKernel. Nothing but HostKernel is virtual: to
// replace a part, declare a function or nested type of the same name in the derived class; the thunks see that one.
#pragma once

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "backplane/sdk/dlpack.hpp"
#include "backplane/sdk/error.hpp"

namespace backplane::sdk {

/// Host memory. A derived device that allocates otherwise sets `release`, which frees data (NULL: borrowed memory).
struct HostBuffer {
  char* data = nullptr;
  uint64_t bytes = 0;
  std::atomic<uint64_t>* used = nullptr;  // the device's count of bytes held
  void (*release)(void* data, uint64_t bytes) = nullptr;
  Lent lent;  // imported by DLPack

  HostBuffer() = default;
  HostBuffer(const HostBuffer&) = delete;
  HostBuffer& operator=(const HostBuffer&) = delete;
  ~HostBuffer() {
    if (used != nullptr) used->fetch_sub(bytes, std::memory_order_relaxed);
    if (release != nullptr) release(data, bytes);
  }
};

/// Address of a view's element (0, ..., 0).
template <class T = char>
inline T* pointer(const bp_view& view) noexcept {
  return reinterpret_cast<T*>(reinterpret_cast<const HostBuffer*>(view.buffer)->data + view.offset);
}

/// A prepared operation. `run` does the work and throws Failure when it goes wrong; it is const: one kernel may run in
/// several threads at once. Operand counts are those of the bp_op it was prepared from.
class HostKernel {
 public:
  virtual ~HostKernel() = default;
  virtual void run(const bp_view* inputs, const bp_view* outputs, const bp_view& workspace) const = 0;

  uint64_t workspace = 0;      // bytes enqueue needs
  uint64_t build_time_ns = 0;
  char variant[96] = "default";
};

struct HostEvent {
  bool failed = false;
  bp_error failure{};

  bp_status sync(uint64_t /*timeout_ns*/, bp_error* error) const {
    if (!failed) return BP_OK;
    if (error != nullptr) *error = failure;
    return failure.code;
  }
};

class HostQueue {
 public:
  using Kernel = HostKernel;

  void upload(const bp_view& target, const void* source, uint64_t bytes, bool /*stable*/) {
    if (!failed_ && bytes != 0) std::memcpy(checked(target, bytes), source, bytes);
  }
  void download(void* target, const bp_view& source, uint64_t bytes) {
    if (!failed_ && bytes != 0) std::memcpy(target, checked(source, bytes), bytes);
  }
  void copy(const bp_view& target, const bp_view& source, uint64_t bytes) {
    if (!failed_ && bytes != 0) std::memcpy(checked(target, bytes), checked(source, bytes), bytes);
  }
  void fill(const bp_view& target, const void* pattern, uint32_t pattern_bytes, uint64_t bytes) {
    if (failed_ || bytes == 0) return;
    char* data = checked(target, bytes);
    std::memcpy(data, pattern, pattern_bytes);
    for (uint64_t done = pattern_bytes; done < bytes;) {  // double what is there
      const uint64_t n = done < bytes - done ? done : bytes - done;
      std::memcpy(data + done, data, n);
      done += n;
    }
  }
  void flush() {}
  bp_status finish(bp_error* error) {
    if (!failed_) return BP_OK;
    failed_ = false;
    if (error != nullptr) *error = failure_;
    return inherited_ ? static_cast<bp_status>(BP_E_DEPENDENCY) : failure_.code;
  }
  void record(HostEvent& event) {
    event.failed = failed_;
    if (failed_) event.failure = failure_;
  }
  void wait(HostEvent& event) {
    if (!event.failed || failed_) return;
    failed_ = inherited_ = true;
    failure_ = event.failure;
  }
  void enqueue(const Kernel& kernel, const bp_view* inputs, const bp_view* outputs, const bp_view& workspace) {
    if (failed_) [[unlikely]] return;
    try {
      kernel.run(inputs, outputs, workspace);
    } catch (...) {
      fail_with_current_exception();
    }
  }

  /// Call inside a catch block: the work in flight failed.
  [[gnu::cold]] void fail_with_current_exception() noexcept {
    failure_ = bp_error{};
    failure_.size = sizeof(bp_error);
    report_current_exception(&failure_);
    if (failure_.scope == BP_SCOPE_CALL) failure_.scope = BP_SCOPE_QUEUE;
    failed_ = true;
    inherited_ = false;
  }
  bool failed() const noexcept { return failed_; }

 private:
  static char* checked(const bp_view& view, uint64_t bytes) {
    const auto* buffer = reinterpret_cast<const HostBuffer*>(view.buffer);
    if (buffer == nullptr || view.offset > buffer->bytes || bytes > buffer->bytes - view.offset) {
      throw Failure(BP_E_INVALID_ARGUMENT, "[queue] " + std::to_string(bytes) + " bytes at offset " +
                                               std::to_string(view.offset) + " lie outside a buffer of " +
                                               std::to_string(buffer != nullptr ? buffer->bytes : 0) + " bytes");
    }
    return buffer->data + view.offset;
  }

  bool failed_ = false;
  bool inherited_ = false;  // the failure came from an event
  bp_error failure_{};
};

class HostDevice {
 public:
  using Buffer = HostBuffer;
  using Queue = HostQueue;
  using Event = HostEvent;
  using Kernel = HostKernel;
  static constexpr uint64_t kAlignment = 64;

  std::unique_ptr<HostBuffer> alloc(uint64_t bytes, uint32_t /*kind*/) {
    auto buffer = std::make_unique<HostBuffer>();
    if (bytes > uint64_t{1} << 62) throw_out_of_memory(bytes);
    const uint64_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    buffer->data = static_cast<char*>(std::aligned_alloc(kAlignment, rounded));
    if (buffer->data == nullptr) throw_out_of_memory(bytes);
    buffer->release = [](void* data, uint64_t) { std::free(data); };
    track(*buffer, bytes);
    return buffer;
  }
  /// bp.interop import_host: the memory stays the caller's.
  std::unique_ptr<HostBuffer> import_host(void* data, uint64_t bytes, uint32_t /*access*/) {
    auto buffer = std::make_unique<HostBuffer>();
    buffer->data = static_cast<char*>(data);
    buffer->bytes = bytes;
    return buffer;
  }
  DlpackPlace dlpack_place(const HostBuffer& buffer) { return {{kDLCPU, 0}, buffer.data}; }
  bp_memory_usage usage() const {
    return {sizeof(bp_memory_usage), 0, used_.load(std::memory_order_relaxed), 0};
  }
  std::unique_ptr<HostQueue> create_queue() { return std::make_unique<HostQueue>(); }
  std::unique_ptr<HostEvent> create_event() { return std::make_unique<HostEvent>(); }

 protected:
  void track(HostBuffer& buffer, uint64_t bytes) {
    buffer.bytes = bytes;
    buffer.used = &used_;
    used_.fetch_add(bytes, std::memory_order_relaxed);
  }
  [[noreturn]] static void throw_out_of_memory(uint64_t bytes) {
    throw Failure(BP_E_OUT_OF_MEMORY, "[memory] cannot allocate " + std::to_string(bytes) +
                                          " bytes; free buffers or use smaller batches",
                  BP_SCOPE_CALL, BP_ERROR_RETRYABLE);
  }

 private:
  std::atomic<uint64_t> used_{0};
};

}  // namespace backplane::sdk
