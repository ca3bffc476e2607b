// SPDX-License-Identifier: Apache-2.0
// An operation with values: inputs that suit it, and what right results are.
//
// Right results come from an oracle device, and where sums are involved the same operation on absolute values gives the
// magnitudes that rounding errors are relative to. It knows no variant.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "backplane/host/device.h"
#include "backplane/plugin.h"

namespace backplane::autotune {

/// The memory of one tensor, from its lowest element to its highest; gaps between strides belong to it.
struct Memory {
  explicit Memory(const bp_tensor_desc& desc);
  bp_tensor_desc desc;
  uint64_t origin = 0;  ///< byte of element (0, ..., 0)
  std::vector<std::byte> bytes;

  int64_t elements() const;
  size_t size_of_element() const;      ///< in bytes
  double load(int64_t element) const;  ///< element as an offset in elements from the origin, as strides give it
};

/// Calls f(offset in elements) for each element in row-major order.
template <class F>
void each_element(const bp_tensor_desc& desc, F&& f) {
  int64_t index[BP_MAX_RANK] = {}, offset = 0;
  for (uint32_t i = 0; i < desc.rank; ++i) {
    if (desc.shape[i] == 0) return;
  }
  while (true) {
    f(offset);
    uint32_t axis = desc.rank;
    while (axis-- > 0) {
      offset += desc.strides[axis];
      if (++index[axis] < desc.shape[axis]) break;
      offset -= desc.strides[axis] * desc.shape[axis];
      index[axis] = 0;
    }
    if (axis == UINT32_MAX) return;
  }
}

struct Expected {
  std::vector<Memory> outputs;
  std::vector<Memory> magnitudes;  ///< empty: errors are relative to the largest value of an output
  std::vector<double> largest;     ///< finite magnitude or, where there are none, value of each output
};

class Problem {
 public:
  /// `given`: raw memory of the inputs, or empty. The op has to outlive this.
  Problem(host::DevicePtr device, host::DevicePtr oracle, const bp_op& op, uint64_t seed,
          const std::vector<std::vector<std::byte>>& given);
  const bp_op& op() const { return op_; }
  const std::vector<Memory>& inputs() const { return inputs_; }
  /// Computed at first use.
  const Expected& expected();
  /// The device that says what is right.
  const std::string& checked_by() const { return oracle_->name(); }

 private:
  host::DevicePtr oracle_;
  const bp_op& op_;
  std::vector<Memory> inputs_;
  std::unique_ptr<Expected> expected_;
};

/// Runs the op once with the device's default variant and waits.
std::vector<Memory> run_default(const host::DevicePtr& device, const bp_op& op, const std::vector<Memory>& inputs);

}  // namespace backplane::autotune
