// SPDX-License-Identifier: Apache-2.0
#include "attempt.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <system_error>

#include "busy.h"

namespace backplane::bench {

namespace {

template <size_t size>
void copy(const std::string& text, char (&to)[size]) {
  const size_t length = std::min(text.size(), size - 1);
  std::memcpy(to, text.data(), length);
  to[length] = '\0';
}

}  // namespace

Attempt& Attempt::shared() {
  static_assert(std::atomic<int64_t>::is_always_lock_free, "a lock would belong to one process");
  static Attempt* const attempt = [] {
    void* memory = mmap(nullptr, sizeof(Attempt), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "[bench] shared memory");
    return new (memory) Attempt;
  }();
  return *attempt;
}

void Attempt::at(const std::string& device, const std::string& work, const std::string& variant) {
  copy(device, device_), copy(work, work_);
  at_variant(variant);
}

void Attempt::at_variant(const std::string& variant, double limit_s) {
  copy(variant, variant_);
  limit_s_ = limit_s;
  since_ns_ = now_ns();
}

void Attempt::finish(int exit_code) {
  exit_code_ = exit_code;
  finished_ = true;
}

void Attempt::reset() {
  finished_ = false;
  at("", "");
}

}  // namespace backplane::bench
