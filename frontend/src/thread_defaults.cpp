// SPDX-License-Identifier: Apache-2.0
#include "thread_defaults.h"

namespace backplane {

namespace {
thread_local ThreadDefaults* innermost = nullptr;
}

ThreadDefaults::ThreadDefaults(const Device& device, const std::array<int32_t, 4>& key)
    : device_(device),
      key_(Tensor::from(std::span<const int32_t>(key), {4}, device), "random.key", false),
      outer_(innermost) {
  innermost = this;
}

ThreadDefaults::~ThreadDefaults() { innermost = outer_; }

const Device* ThreadDefaults::device() { return innermost != nullptr ? &innermost->device_ : nullptr; }
Variable* ThreadDefaults::random_key() { return innermost != nullptr ? &innermost->key_ : nullptr; }

}  // namespace backplane
