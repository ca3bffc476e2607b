// SPDX-License-Identifier: Apache-2.0
#include "kernel_cache.h"

#include <chrono>

namespace backplane::cpu {

WorkPtr OpEntry::work(size_t index, uint64_t* build_ns) {
  std::lock_guard<std::mutex> lock(mutex_);
  *build_ns = 0;
  if (works_[index] == nullptr) {
    const auto start = std::chrono::steady_clock::now();
    works_[index] = candidates[index].build();
    const auto spent = std::chrono::steady_clock::now() - start;
    *build_ns = static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count()) + 1;
  }
  return works_[index];
}

std::shared_ptr<OpEntry> KernelCache::find(const Op& op) {
  const std::string key = op.key();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (const auto at = index_.find(key); at != index_.end()) {
      order_.splice(order_.begin(), order_, at->second);
      return at->second->second;
    }
  }
  auto entry = std::make_shared<OpEntry>(op);  // not under the lock: listing may take a while
  std::lock_guard<std::mutex> lock(mutex_);
  if (const auto at = index_.find(key); at != index_.end()) return at->second->second;
  order_.emplace_front(key, entry);
  index_.emplace(key, order_.begin());
  if (order_.size() > kCapacity) {
    index_.erase(order_.back().first);
    order_.pop_back();
  }
  return entry;
}

}  // namespace backplane::cpu
