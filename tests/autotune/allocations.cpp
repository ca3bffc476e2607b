// SPDX-License-Identifier: Apache-2.0
// In a file of its own, so that no caller has these inlined and is warned that `delete` frees what `new` gave.
#include "allocations.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {
std::atomic<size_t> count{0};
}

void* operator new(size_t bytes) {
  ++count;
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
// Sanitizers have one of their own otherwise, whose memory is not free()'s.
void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  try {
    return operator new(bytes);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace backplane::test {

size_t allocations() { return count; }

}  // namespace backplane::test
