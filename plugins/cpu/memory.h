// SPDX-License-Identifier: Apache-2.0
// Blocks of memory that are given back are kept for the next request of the same size class, up to a cap.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

namespace backplane::cpu {

/// 64-byte aligned; blocks of a huge page or more are aligned to and advised for huge pages.
class MemoryPool {
 public:
  explicit MemoryPool(uint64_t cap) : cap_(cap), free_(64 * 4) {}
  ~MemoryPool() { trim(); }
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;

  /// NULL when the system has no more, also after the kept blocks were given back.
  void* take(uint64_t bytes);
  void give(void* data, uint64_t bytes);
  /// Gives everything kept back to the system.
  void trim();

 private:
  std::mutex mutex_;
  uint64_t cap_, kept_ = 0;
  std::vector<std::vector<void*>> free_;  // by size class
};

}  // namespace backplane::cpu
