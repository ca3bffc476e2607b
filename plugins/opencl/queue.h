// SPDX-License-Identifier: Apache-2.0
// Queues: a bp_queue is an in-order command queue. What the driver reports when a command is put in is the
// call's error; what goes wrong later makes the queue fail until `finish` has reported it.
#pragma once

#include <deque>
#include <memory>

#include "kernel.h"
#include "memory.h"

namespace backplane::opencl {

class Device;
class Event;
class Recording;

class Queue {
 public:
  using Kernel = opencl::Kernel;
  explicit Queue(Device& device);
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  void upload(const bp_view& target, const void* source, uint64_t bytes, bool stable);
  void download(void* target, const bp_view& source, uint64_t bytes);
  void copy(const bp_view& target, const bp_view& source, uint64_t bytes);
  void fill(const bp_view& target, const void* pattern, uint32_t pattern_bytes, uint64_t bytes);
  void flush();
  bp_status finish(bp_error* error);
  void record(Event& event);
  void wait(Event& event);
  void enqueue(Kernel& kernel, const bp_view* inputs, const bp_view* outputs, const bp_view& workspace);

  // bp.capture
  void begin_capture();
  std::unique_ptr<Recording> end_capture();
  void replay(Recording& recording);

  /// A marker after all earlier work, whose profiling data tells when that was done; the caller releases it.
  cl_event stamp();

  Device& device() { return device_; }
  cl_command_queue get() const { return queue_; }

 private:
  friend class Recording;
  void not_while_recording(const char* call) const;
  /// Commands as they are, without recording.
  void run_copy(const bp_view& target, const bp_view& source, uint64_t bytes);
  void run_fill(const bp_view& target, const void* pattern, uint32_t pattern_bytes, uint64_t bytes);
  void run_record(Event& event);
  void run_wait(Event& event);
  void write(const Buffer& target, uint64_t offset, const void* source, uint64_t bytes, bool blocking, cl_event* done);
  void read(void* target, const Buffer& source, uint64_t offset, uint64_t bytes);
  void upload_staged(const Buffer& target, uint64_t offset, const void* source, uint64_t bytes);
  void reclaim(uint64_t keep);
  void fail(const bp_error& failure, bool inherited);

  struct Staged {
    cl_event done;
    std::unique_ptr<Buffer> block;
  };

  Device& device_;
  cl_command_queue queue_;
  bool profiling_ = false;
  bool busy_ = false;  // something was put in since the last finish
  bool failed_ = false;
  bool inherited_ = false;  // the failure came from an event
  bp_error failure_{};
  std::deque<Staged> staged_;
  uint64_t staged_bytes_ = 0;
  std::unique_ptr<Recording> recording_;
};

}  // namespace backplane::opencl
