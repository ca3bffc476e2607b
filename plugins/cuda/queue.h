// SPDX-License-Identifier: Apache-2.0
// Queues and events: CUDA's own streams and events. Work of a stream fails only by breaking the whole context, so a queue has
// no failed state of its own: the device is lost then.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <memory>
#include <string>

#include "kernel.h"

namespace backplane::cuda {

class Device;

class Event {
 public:
  explicit Event(Device& device) : device_(device) {}
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  bp_status sync(uint64_t timeout_ns, bp_error* error);

 private:
  friend class Queue;
  CUevent get();  ///< made at the first use

  Device& device_;
  CUevent event_ = nullptr;  // NULL: complete
};

/// A graph made from what was captured.
class Recording {
 public:
  Recording(Device& device, CUgraphExec executable) : device_(device), executable_(executable) {}
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

 private:
  friend class Queue;
  Device& device_;
  CUgraphExec executable_;
  std::array<Name, 4> names_;  ///< of its last launches
};

/// Where the bytes lie; throws unless they are inside the view's buffer.
CUdeviceptr checked(const bp_view& view, uint64_t bytes);

class Queue {
 public:
  using Kernel = cuda::Kernel;
  explicit Queue(Device& device);
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  void upload(const bp_view& target, const void* source, uint64_t bytes, bool stable);
  void download(void* target, const bp_view& source, uint64_t bytes);
  void copy(const bp_view& target, const bp_view& source, uint64_t bytes);
  void copy_from(const bp_view& target, Device& from, const bp_view& source, uint64_t bytes);  ///< bp.peer
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

  /// Records `event`, made with timing, after all earlier work.
  void stamp(CUevent event);

  Device& device() { return device_; }
  CUstream get() const { return stream_; }
  void not_while_capturing(const char* call) const;  ///< throws

 private:
  void check(CUresult code, const char* what) const;
  void reclaim(uint64_t keep);
  void note(const Name& name) { last_[next_++ % last_.size()] = name; }

  struct Staged {
    CUevent done;
    std::unique_ptr<Buffer> block;
  };

  Device& device_;
  CUstream stream_ = nullptr;
  bool capturing_ = false;
  std::deque<Staged> staged_;
  uint64_t staged_bytes_ = 0;
  std::array<Name, 4> last_;  ///< names of the last launches, for the report of a crash
  size_t next_ = 0;
};

}  // namespace backplane::cuda
