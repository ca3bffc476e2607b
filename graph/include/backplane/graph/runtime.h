// SPDX-License-Identifier: Apache-2.0
// Stream: a device with the queue all work goes through, its memory pool, its kernel cache and its tuner. Storage:
// device memory that tensors share.
//
// Memory freed while queued work still uses it goes back to the stream's pool and is reused by later work of the same
// in-order queue only, so nobody has to wait.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backplane/autotune/policy.h"
#include "backplane/autotune/tuner.h"
#include "backplane/graph/types.h"
#include "backplane/host/device.h"
#include "backplane/host/kernel_op.h"

namespace backplane::graph {

using host::KernelOp;
class Recordings;
class Stream;
using StreamPtr = std::shared_ptr<Stream>;

/// A block of device memory; returns to its stream's pool with the last reference, or to whoever lent it.
class Storage {
 public:
  Storage(StreamPtr stream, bp_buffer* buffer, uint64_t bytes);
  /// Memory of somebody else: freed with the last reference, once the queue is done with it. Never written to.
  Storage(StreamPtr stream, host::Buffer borrowed, uint64_t bytes);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  bp_buffer* buffer() const { return buffer_; }
  uint64_t bytes() const { return bytes_; }
  const StreamPtr& stream() const { return stream_; }

 private:
  StreamPtr stream_;
  bp_buffer* buffer_;
  uint64_t bytes_;
  host::Buffer borrowed_;  ///< empty: the buffer is the pool's
};
using StoragePtr = std::shared_ptr<Storage>;

class Stream : public std::enable_shared_from_this<Stream> {
 public:
  /// One stream per device, made at first use.
  static StreamPtr of(const host::DevicePtr& device);
  explicit Stream(host::DevicePtr device, autotune::Policy policy = autotune::Policy::from_environment(),
                  std::shared_ptr<autotune::Tuning> tuning = autotune::Tuning::instance());
  ~Stream();

  const host::DevicePtr& device() const { return device_; }
  bp_queue* queue() const { return queue_.get(); }
  const host::Queue& host_queue() const { return queue_; }
  /// Held while work is put into the queue.
  std::recursive_mutex& mutex() { return mutex_; }

  /// At least `bytes` (0 counts as 1), 64-byte aligned. Retries once after trim() when the device is out of memory.
  StoragePtr alloc(uint64_t bytes);
  void upload(const StoragePtr& target, uint64_t offset, const void* source, uint64_t bytes);
  /// Copies the first `bytes` after `offset` from another device of the same plugin to the start of `target`, without the
  /// host's memory and without waiting. False when the two devices cannot; nothing has happened then.
  bool copy_from(const StoragePtr& target, const StoragePtr& source, uint64_t offset, uint64_t bytes);
  /// Waits for the data.
  void download(void* target, const StoragePtr& source, uint64_t offset, uint64_t bytes);
  void finish();
  /// Gives pooled memory back to the device.
  void trim();

  // Operations come without a policy and get the stream's. ------------------------------------------------------------
  /// The prepared kernel of `op`, cached by its signature; `variant` empty = the device's default.
  std::shared_ptr<const host::Kernel> kernel(const KernelOp& op, const std::string& variant = {});
  /// The prepared kernel of the variant that the tuner decides for, and what it says about that. Where the device
  /// cannot build that one it is the default's.
  struct Choice {
    std::shared_ptr<const host::Kernel> kernel;
    const autotune::Decision* decision = nullptr;  ///< the tuner's; lives as long as the stream
  };
  Choice choose(const KernelOp& op);
  /// The device's answer about `op`, cached by its signature.
  host::Support support(const KernelOp& op);
  autotune::Tuner& tuner() { return tuner_; }
  const autotune::Policy& policy() const { return policy_; }

  /// Recorded executions, or null where the device does not record. Used with mutex() held.
  Recordings* recordings() { return recordings_.get(); }

  struct Usage {
    uint64_t in_use = 0, pooled = 0, peak = 0;
  };
  Usage usage() const;
  /// What the device says it spent on compiling kernels; those that came from a cache count as nothing.
  struct Builds {
    size_t kernels = 0;  ///< compiled
    uint64_t time_ns = 0;
  };
  Builds builds() const;

 private:
  friend class Storage;
  void release(bp_buffer* buffer, uint64_t bytes);
  /// Waits until nothing that is queued or recorded uses the buffer.
  void retire(bp_buffer* buffer);
  /// Waits until nothing that is queued uses memory, and drops what is recorded: it may go back to the device then.
  void settle();
  // What the public functions do with operations that have the stream's policy.
  std::shared_ptr<const host::Kernel> prepared(const KernelOp& ruled, const std::string& variant);
  Choice chosen(const KernelOp& ruled);
  host::Support answer(const KernelOp& ruled);
  template <class F>
  auto under_policy(const KernelOp& op, F use) {
    return policy_.is_default() ? use(op) : use(policy_.rule(op));  // most often there is nothing to copy
  }
  struct Pool;
  struct Caches;
  host::DevicePtr device_;
  autotune::Policy policy_;
  autotune::Tuner tuner_;
  host::Queue queue_;
  std::recursive_mutex mutex_;
  std::unique_ptr<Pool> pool_;
  std::unique_ptr<Caches> caches_;
  std::unique_ptr<Recordings> recordings_;  ///< goes first
};

}  // namespace backplane::graph
