// SPDX-License-Identifier: Apache-2.0
// A table of shared values that forgets the least recently used ones when it is full; who holds one keeps it.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "backplane/devicekit/digest.h"

namespace backplane::devicekit {

/// [any] thread. Value is default-constructed at the first request for its key.
template <class Value>
class Recent {
 public:
  explicit Recent(size_t capacity) : capacity_(capacity) {}

  std::shared_ptr<Value> get(const Digest& key) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (const auto at = index_.find(key); at != index_.end()) {
      order_.splice(order_.begin(), order_, at->second);
      return at->second->second;
    }
    order_.emplace_front(key, std::make_shared<Value>());
    index_.emplace(key, order_.begin());
    if (order_.size() > capacity_) {
      index_.erase(order_.back().first);
      order_.pop_back();
    }
    return order_.front().second;
  }
  void clear() {
    std::lock_guard<std::mutex> lock(mutex_);
    index_.clear();
    order_.clear();
  }

 private:
  using Order = std::list<std::pair<Digest, std::shared_ptr<Value>>>;
  const size_t capacity_;
  std::mutex mutex_;
  Order order_;  // newest first
  std::unordered_map<Digest, typename Order::iterator, DigestHash> index_;
};

}  // namespace backplane::devicekit
