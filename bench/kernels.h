// SPDX-License-Identifier: Apache-2.0
// An operation on a device, for timing it through the ABI as the executor calls it: operands once, kernels by variant.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backplane/graph/runtime.h"
#include "backplane/host/registry.h"
#include "measure.h"

namespace backplane::bench {

using Values = std::vector<std::vector<std::byte>>;

/// The plugin of tests/plugins/null, which does nothing; throws when the build has none.
host::DevicePtr null_device();

/// An operation's operands in a device's memory. Throws with the device's reason when it does not do the operation.
class Operands {
 public:
  Operands(const host::DevicePtr& device, host::KernelOp op, const Values& inputs);
  const graph::StreamPtr& stream() const { return stream_; }
  const host::KernelOp& op() const { return op_; }
  std::vector<host::Variant> variants() const;
  Values outputs() const;

 private:
  friend class Prepared;
  graph::StreamPtr stream_;
  host::KernelOp op_;
  std::vector<graph::StoragePtr> in_, out_;
  std::vector<uint64_t> out_bytes_;
  std::vector<bp_view> in_views_, out_views_;
};

/// Time stamps of a stream's device; null where it has none.
std::unique_ptr<DeviceClock> device_clock(const graph::StreamPtr& stream);

/// One variant, compiled and launched once; empty = the device's default.
class Prepared {
 public:
  explicit Prepared(std::shared_ptr<const Operands> operands, const std::string& variant = {});
  void enqueue() const;
  void finish() const { operands_->stream_->finish(); }
  void launch() const;  ///< enqueue and wait
  /// Calls go into the queue, and one wait ends a sample. `clock` may be null, and outlives the contestant.
  Contestant contestant(DeviceClock* clock = nullptr) const;
  /// The bare call of the table, as the executor makes it.
  void enqueue_through(decltype(bp_kernels_api::enqueue) enqueue) const {
    enqueue(operands_->stream_->queue(), kernel_->handle.get(), operands_->in_views_.data(),
            operands_->out_views_.data(), workspace_, nullptr);
  }
  const Operands& operands() const { return *operands_; }
  const std::string& variant() const { return kernel_->variant; }

 private:
  std::shared_ptr<const Operands> operands_;
  std::shared_ptr<const host::Kernel> kernel_;
  graph::StoragePtr workspace_storage_;
  bp_view workspace_{};
};

/// Random values that suit an operation's inputs; what has to be a result of another operation is made by the reference
/// device.
Values suitable_values(const host::KernelOp& op);
std::vector<float> random_floats(int64_t count, uint64_t seed);

}  // namespace backplane::bench
