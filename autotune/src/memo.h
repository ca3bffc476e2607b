// SPDX-License-Identifier: Apache-2.0
// From an operation to what was decided about it: 128 bits of hash, open addressing, readers without a lock.
//
// Tables and decisions are only added while the memo lives, so what a reader has found stays there. A slot's key is
// written before its decision is published and never changes. Bounded: when it is full, new problems
// get the default.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "backplane/autotune/tuner.h"
#include "backplane/plugin.h"

namespace backplane::autotune {

struct OpHash {
  uint64_t low = 0, high = 0;
  static OpHash of(const bp_op& op);
};

class Memo {
 public:
  Memo() { tables_.push_back(std::make_unique<Table>(kFirstSize)), current_.store(tables_.back().get()); }

  const Decision* find(const OpHash& hash) const {
    const Table& table = *current_.load(std::memory_order_acquire);
    for (size_t i = hash.low & table.mask;; i = (i + 1) & table.mask) {
      const Slot& slot = table.slots[i];
      const Decision* decision = slot.decision.load(std::memory_order_acquire);
      if (decision == nullptr) return nullptr;
      if (slot.hash.low == hash.low && slot.hash.high == hash.high) return decision;
    }
  }
  /// The decision as it lies in the memo; `decision` itself is kept nowhere when the memo is full: null.
  const Decision* put(const OpHash& hash, Decision decision);

 private:
  static constexpr size_t kFirstSize = 1024, kMostDecisions = size_t{1} << 16;
  struct Slot {
    OpHash hash;
    std::atomic<const Decision*> decision{nullptr};
  };
  struct Table {
    explicit Table(size_t size) : mask(size - 1), slots(std::make_unique<Slot[]>(size)) {}
    size_t mask;
    std::unique_ptr<Slot[]> slots;
  };
  static Slot& slot_for(Table& table, const OpHash& hash);
  void grow();

  std::atomic<Table*> current_{nullptr};
  std::mutex mutex_;  ///< writers
  std::vector<std::unique_ptr<Table>> tables_;
  std::deque<Decision> decisions_;
  size_t used_ = 0;
};

}  // namespace backplane::autotune
