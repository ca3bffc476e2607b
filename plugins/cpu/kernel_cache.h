// SPDX-License-Identifier: Apache-2.0
// What has been listed and built before, by the operation's canonical bytes, so that asking again creates nothing.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "work.h"

namespace backplane::cpu {

/// The candidates of one operation and the works built so far.
class OpEntry {
 public:
  explicit OpEntry(const Op& op) : candidates(candidates_for(op)), works_(candidates.size()) {}
  const Candidates candidates;
  /// Builds at most once; *build_ns is 0 when it was there already.
  WorkPtr work(size_t index, uint64_t* build_ns);

 private:
  std::mutex mutex_;
  std::vector<WorkPtr> works_;
};

/// The least recently used entries go first; whoever holds one keeps it.
class KernelCache {
 public:
  std::shared_ptr<OpEntry> find(const Op& op);

 private:
  static constexpr size_t kCapacity = 4096;
  using Order = std::list<std::pair<std::string, std::shared_ptr<OpEntry>>>;
  std::mutex mutex_;
  Order order_;  // newest first
  std::unordered_map<std::string, Order::iterator> index_;
};

}  // namespace backplane::cpu
