// SPDX-License-Identifier: Apache-2.0
// A case on a device, for timing it through the ABI as the executor calls it: operands once, kernels by variant.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backplane/graph/runtime.h"
#include "backplane/host/registry.h"
#include "case.h"
#include "measure.h"

namespace backplane::bench {

/// The device named by --device.
host::DevicePtr device_under_test();
/// The plugin of tests/plugins/null, which does nothing; throws when the build has none.
host::DevicePtr null_device();

/// A case's operands in a device's memory. Throws with the device's reason when it does not do the op.
class Operands {
 public:
  Operands(const host::DevicePtr& device, const Case& c, const std::vector<std::vector<std::byte>>& values);
  const graph::StreamPtr& stream() const { return stream_; }
  const graph::KernelOp& op() const { return op_; }
  std::vector<host::Variant> variants() const;
  /// Fills the outputs with NaNs (integers: with -1), so that what a kernel leaves out is seen.
  void poison() const;
  std::vector<std::vector<std::byte>> outputs() const;

 private:
  friend class Prepared;
  graph::StreamPtr stream_;
  graph::KernelOp op_;
  std::vector<Type> types_;  // of the outputs
  std::vector<graph::StoragePtr> in_, out_;
  std::vector<bp_view> in_views_, out_views_;
};

/// One variant, compiled; empty = the device's default.
class Prepared {
 public:
  explicit Prepared(std::shared_ptr<const Operands> operands, const std::string& variant = {});
  void enqueue() const;
  void finish() const { operands_->stream_->finish(); }
  void launch() const;                      ///< enqueue and wait
  /// Calls go into the queue, and one wait ends a sample.
  Contestant contestant() const;
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

std::vector<float> random_floats(int64_t count, uint64_t seed);

}  // namespace backplane::bench
