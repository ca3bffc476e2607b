// SPDX-License-Identifier: Apache-2.0
// A bp_queue and its events on a timeline semaphore.
//
// Work is recorded into the open command buffer and submitted by flush, finish, an event somebody waits for, or when
// enough has gathered; each submission is the next value of the timeline. An event is a value of a stream, so it is
// complete when the semaphore has got there, and recording one submits nothing. What the host has to do once a value is
// reached (bytes to copy out of staging memory, staging memory to free) waits in a list beside it.
//
// A submission that fails makes the stream fail: what follows is skipped, events recorded on it carry the failure,
// finish reports it once.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "recorder.h"

namespace backplane::vulkan {

class Stream;

struct Event {
  std::shared_ptr<Stream> stream;  ///< NULL: never recorded, complete
  uint64_t value = 0;
  bool failed = false;  ///< the stream had failed when this was recorded
  bp_error failure{};

  bp_status sync(uint64_t timeout_ns, bp_error* error);
};

VkCommandPool create_pool(Gpu& gpu);
void allocate_commands(Gpu& gpu, VkCommandPool pool, Commands& commands);

/// What bp.capture made: one command buffer, what it needs to stay alive, events to wait for before and to record
/// after.
struct Recording {
  explicit Recording(Memory& memory) : memory(memory), recorder(memory.gpu()) {}
  ~Recording();
  Memory& memory;
  VkCommandPool pool = VK_NULL_HANDLE;
  Commands commands;
  Recorder recorder;
  std::vector<Allocation> staging;
  std::vector<Event> waits;
  std::vector<Event*> records;
};

class Stream : public std::enable_shared_from_this<Stream> {
 public:
  explicit Stream(Memory& memory);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void upload(const bp_view& target, const void* source, uint64_t bytes);
  void download(void* target, const bp_view& source, uint64_t bytes);
  void copy(const bp_view& target, const bp_view& source, uint64_t bytes);
  void fill(const bp_view& target, const void* pattern, uint32_t pattern_bytes, uint64_t bytes);
  void enqueue(const Kernel& kernel, const bp_view* inputs, const bp_view* outputs, const bp_view& workspace);
  void stamp(VkQueryPool pool, uint32_t index, Event& done);
  /// Waits until the driver has gone through a launch of nothing.
  void warm(const Pipeline& pipeline, const Allocation& dummy);
  void flush();
  bp_status finish(bp_error* error);
  void record(Event& event);
  void wait(const Event& event);

  void capture_begin();
  std::unique_ptr<Recording> capture_end();
  void replay(const Recording& recording);

  /// BP_OK, BP_NOT_READY, or why the work of that value failed. [any] thread.
  bp_status await(uint64_t value, uint64_t timeout_ns, bp_error* error);
  /// The VkQueue underneath.
  VkQueue native() const { return queue_.handle; }

 private:
  /// To be done on the host once the timeline has reached `value`.
  struct Deferred {
    uint64_t value = 0;
    Allocation staging;  ///< freed, after copying it to `target` if there is one
    void* target = nullptr;
    std::shared_ptr<Stream> other;  ///< or: its deferred work first, because an event of it was waited for
  };
  struct Wait {
    VkSemaphore semaphore;
    uint64_t value;
    std::shared_ptr<Stream> stream;
  };

  // All of these are called with mutex_ held.
  Recorder& recorder();
  void forbid_capture(const char* call) const;
  bool ready(const char* call) const;
  Allocation staging(uint64_t bytes);
  uint64_t pending_value() const { return submitted_ + (recorder_.is_open() || !waits_.empty() ? 1 : 0); }
  void submit(const Recording* recording = nullptr);
  void submit_commands(const std::vector<VkCommandBuffer>& buffers, uint64_t value);
  Commands& free_commands();
  void fail(const bp_error& failure, bool inherited);
  uint64_t completed();
  bool idle();
  void upload_staged(const Buffer& target, uint64_t offset, const char* source, uint64_t bytes);
  void wait_all();

  /// Everything deferred that is due, here and in streams this one waited for. Called without mutex_.
  void drain();
  void drain_own(std::vector<std::shared_ptr<Stream>>& others);
  void release(Deferred& job);

  Memory& memory_;
  Gpu& gpu_;
  SharedQueue& queue_;
  std::mutex mutex_;
  std::mutex drain_mutex_;  ///< held while deferred work runs; taken before mutex_
  VkSemaphore semaphore_ = VK_NULL_HANDLE;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  Recorder recorder_;
  std::deque<std::unique_ptr<Commands>> in_flight_;
  std::vector<std::unique_ptr<Commands>> free_;
  std::unique_ptr<Commands> open_;
  std::unique_ptr<Recording> recording_;
  std::vector<Wait> waits_;
  std::deque<Deferred> deferred_;
  uint64_t submitted_ = 0, completed_ = 0, staged_bytes_ = 0;
  bool failed_ = false, inherited_ = false;
  bp_error failure_{};
  std::map<uint64_t, bp_error> failed_values_;  ///< submissions that failed, the latest few
};

/// What a bp_queue is: events may outlive it, so the stream is shared.
class Queue {
 public:
  explicit Queue(Memory& memory) : stream(std::make_shared<Stream>(memory)) {}
  ~Queue();
  void upload(const bp_view& target, const void* source, uint64_t bytes, bool) {
    stream->upload(target, source, bytes);
  }
  void download(void* target, const bp_view& source, uint64_t bytes) { stream->download(target, source, bytes); }
  void copy(const bp_view& target, const bp_view& source, uint64_t bytes) { stream->copy(target, source, bytes); }
  void fill(const bp_view& target, const void* pattern, uint32_t pattern_bytes, uint64_t bytes) {
    stream->fill(target, pattern, pattern_bytes, bytes);
  }
  void flush() { stream->flush(); }
  bp_status finish(bp_error* error) { return stream->finish(error); }
  void record(Event& event) { stream->record(event); }
  void wait(Event& event) { stream->wait(event); }
  void enqueue(const Kernel& kernel, const bp_view* inputs, const bp_view* outputs, const bp_view& workspace) {
    stream->enqueue(kernel, inputs, outputs, workspace);
  }
  void begin_capture() { stream->capture_begin(); }
  std::unique_ptr<Recording> end_capture() { return stream->capture_end(); }
  void replay(const Recording& recording) { stream->replay(recording); }
  const std::shared_ptr<Stream> stream;
};

}  // namespace backplane::vulkan
