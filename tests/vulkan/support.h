// SPDX-License-Identifier: Apache-2.0
// What the tests of this folder share: a gather to launch, a faulty loader to steer, a card with one or the other
// setting.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "cards/card.h"

namespace vulkan_test {

using card_test::Card;
using card_test::make_error;

/// A plain card, or one with the faulty loader (FAULT_LOADER).
std::unique_ptr<Card> open_card(std::map<std::string, std::string> settings = {},
                                std::map<std::string, std::string>* blobs = nullptr);

/// Steers the faulty loader; every fault ends with it.
struct Faults {
  Faults();
  ~Faults();
  void fail(const char* function, int vk_result, int after = 0) { set_fault(function, vk_result, after); }
  void hide(int slot, const char* extension) { hide_extension(slot, extension); }
  void drop_barriers() { set_drop_barriers(1); }

 private:
  void (*set_fault)(const char*, int, int);
  void (*hide_extension)(int, const char*);
  void (*set_drop_barriers)(int);
};

/// A buffer of i32, freed at the end.
class Ints {
 public:
  Ints(const Card& card, size_t count);
  ~Ints() { card_.memory->free(buffer); }
  Ints(const Ints&) = delete;
  Ints& operator=(const Ints&) = delete;
  bp_view at(size_t element) const { return {buffer, element * 4}; }
  void upload(const std::vector<int32_t>& values, bp_queue* queue = nullptr) const;
  /// Downloads everything and finishes the queue.
  std::vector<int32_t> read(bp_queue* queue = nullptr) const;
  bp_buffer* buffer = nullptr;

 private:
  const Card& card_;
  size_t count_;
};

/// y[i] = x[order[i]] on i32: a launch whose result shows whether it saw the bytes it should.
class Shuffle {
 public:
  Shuffle(const Card& card, int64_t count);
  ~Shuffle() { card_.kernels->destroy(kernel); }
  Shuffle(const Shuffle&) = delete;
  Shuffle& operator=(const Shuffle&) = delete;
  bp_status run(const Ints& x, const Ints& order, const Ints& y, bp_queue* queue = nullptr,
                bp_error* error = nullptr) const;
  bp_kernel* kernel = nullptr;
  bp_kernel_info info{};

 private:
  const Card& card_;
};

inline std::vector<int32_t> count_up(size_t n, int32_t from = 0) {
  std::vector<int32_t> values(n);
  std::iota(values.begin(), values.end(), from);
  return values;
}
inline std::vector<int32_t> count_down(size_t n) {
  std::vector<int32_t> values = count_up(n);
  return {values.rbegin(), values.rend()};
}

}  // namespace vulkan_test
