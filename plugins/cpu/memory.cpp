// SPDX-License-Identifier: Apache-2.0
#include "memory.h"

#include <sys/mman.h>

#include <bit>
#include <cstdlib>

namespace backplane::cpu {
namespace {

constexpr uint64_t kHugePage = 2u << 20;

struct SizeClass {
  size_t index;
  uint64_t bytes;
};
/// Four classes to a power of two: at most a quarter is lost.
SizeClass size_class(uint64_t bytes) {
  if (bytes <= 256) return {0, 256};
  const int exponent = 63 - std::countl_zero(bytes - 1);
  const uint64_t quarter = uint64_t{1} << (exponent - 2);
  const uint64_t steps = (bytes - 1) / quarter + 1;  // 5 ... 8 quarters
  return {static_cast<size_t>(exponent) * 4 + static_cast<size_t>(steps - 5) + 1, steps * quarter};
}

void* system_take(uint64_t bytes) {
  const bool huge = bytes >= 2 * kHugePage;
  const uint64_t alignment = huge ? kHugePage : 64;
  void* data = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (data != nullptr && huge) madvise(data, bytes, MADV_HUGEPAGE);  // advice: failure changes nothing
  return data;
}

}  // namespace

void* MemoryPool::take(uint64_t bytes) {
  if (bytes > uint64_t{1} << 60) return nullptr;
  const SizeClass c = size_class(bytes);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (auto& list = free_[c.index]; !list.empty()) {
      void* data = list.back();
      list.pop_back();
      kept_ -= c.bytes;
      return data;
    }
  }
  if (void* data = system_take(c.bytes)) return data;
  trim();
  return system_take(c.bytes);
}

void MemoryPool::give(void* data, uint64_t bytes) {
  const SizeClass c = size_class(bytes);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (kept_ + c.bytes <= cap_) {
      try {
        free_[c.index].push_back(data);
        kept_ += c.bytes;
        return;
      } catch (...) {  // no memory for the list: give the block back instead
      }
    }
  }
  std::free(data);
}

void MemoryPool::trim() {
  std::lock_guard<std::mutex> lock(mutex_);
  for (auto& list : free_) {
    for (void* data : list) std::free(data);
    list.clear();
  }
  kept_ = 0;
}

}  // namespace backplane::cpu
