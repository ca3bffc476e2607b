// SPDX-License-Identifier: Apache-2.0
// What exchange.py calls: tensors of Backplane lent as bare pointers, and NumPy's taken.
#include <cstring>
#include <string>

#include "backplane/backplane.h"
#include "backplane/dlpack.h"
#include "backplane/graph/runtime.h"

using namespace backplane;

namespace {
Tensor kept;          // of NumPy
std::string problem;  // of the last call
}  // namespace

extern "C" {

/// 0, 1, ... 5 as f32[2,3], transposed: a view whose memory is not in the order of its elements.
BP_EXPORT DLManagedTensor* bridge_lend() {
  const Tensor x = Tensor::from({0, 1, 2, 3, 4, 5}, {2, 3});
  return transpose(x).to_dlpack_unversioned(Lend::memory);
}
BP_EXPORT DLManagedTensorVersioned* bridge_lend_versioned() {
  const Tensor x = Tensor::from({0, 1, 2, 3, 4, 5}, {2, 3});
  return transpose(x).to_dlpack();
}
BP_EXPORT const void* bridge_address(const DLManagedTensor* tensor) { return tensor->dl_tensor.data; }
BP_EXPORT uint64_t bridge_bytes_in_use() { return default_device().stream()->usage().in_use; }

/// Takes a tensor and keeps it. 0, or 1 with a reason.
BP_EXPORT int bridge_take(DLManagedTensor* tensor) {
  try {
    kept = Tensor::from_dlpack(tensor);
    return 0;
  } catch (const Error& error) {
    problem = error.what();
    return 1;
  }
}
BP_EXPORT const char* bridge_problem() { return problem.c_str(); }
/// The kept tensor's elements in row-major order, which are `bytes` in all; 1 when they are not.
BP_EXPORT int bridge_read(void* target, uint64_t bytes) {
  const std::vector<std::byte> all = kept.to_bytes();
  if (all.size() != bytes) return 1;
  if (bytes != 0) std::memcpy(target, all.data(), bytes);
  return 0;
}
BP_EXPORT void bridge_drop() { kept = {}; }

}  // extern "C"
