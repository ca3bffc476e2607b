// SPDX-License-Identifier: Apache-2.0
// One prepared kernel of a device with random operands, for timing it through the ABI as the executor calls it.
#pragma once

#include <memory>
#include <vector>

#include "backplane/graph/graph.h"
#include "backplane/graph/ops.h"
#include "backplane/graph/runtime.h"
#include "backplane/host/registry.h"

namespace backplane::bench {

/// The device named by BACKPLANE_BENCH_DEVICE, or "cpu".
host::DevicePtr device_under_test();
/// The plugin of tests/plugins/null, which does nothing; throws when the build has none.
host::DevicePtr null_device();

class Prepared {
 public:
  /// `op` is one with a native form. Operands are dense and uniformly random; floats only.
  Prepared(const host::DevicePtr& device, const graph::OpDef& op, std::vector<graph::AttrArg> attrs,
           const std::vector<Shape>& inputs);
  void launch() const;                      ///< enqueue and wait
  /// The bare call of the table, as the executor makes it.
  void enqueue_through(decltype(bp_kernels_api::enqueue) enqueue) const {
    enqueue(stream_->queue(), kernel_->handle.get(), in_.data(), out_.data(), workspace_, nullptr);
  }
  const float* input(size_t i) const { return host_inputs_[i].data(); }
  std::vector<float> output() const;        ///< of output 0, after a launch
  const Shape& output_shape() const { return output_shape_; }
  const std::string& variant() const { return kernel_->variant; }

 private:
  graph::StreamPtr stream_;
  std::shared_ptr<const host::Kernel> kernel_;
  std::vector<std::vector<float>> host_inputs_;
  std::vector<graph::StoragePtr> storage_;
  std::vector<bp_view> in_, out_;
  bp_view workspace_{};
  Shape output_shape_;
};

std::vector<float> random_floats(int64_t count, uint64_t seed);

}  // namespace backplane::bench
