// SPDX-License-Identifier: Apache-2.0
// One operation that is quick to compile, with its operands on a card: y[j] = x[indices[j]].
#pragma once

#include <memory>
#include <vector>

#include "cards/compare.h"

namespace card_test {

class SmallGather {
 public:
  static constexpr int64_t kCount = 1000;

  explicit SmallGather(Card& card, bp_queue* queue = nullptr)
      : card_(card), queue_(queue != nullptr ? queue : card.queue) {
    case_.name = "gather";
    case_.code = BP_OP_GATHER;
    case_.in = {lay_out(BP_F32, {1, kCount, 1}), lay_out(BP_I32, {kCount})};
    case_.out = {lay_out(BP_F32, {1, kCount, 1})};
    op_ = make_op(case_, program_);
    std::vector<float> values(kCount);
    std::vector<int32_t> turned(kCount);
    for (int32_t i = 0; i < kCount; ++i) {
      values[static_cast<size_t>(i)] = static_cast<float>(i);
      turned[static_cast<size_t>(i)] = static_cast<int32_t>(kCount) - 1 - i;
    }
    x = std::make_unique<Guarded>(card_, reinterpret_cast<const char*>(values.data()), kCount * 4, queue_);
    indices = std::make_unique<Guarded>(card_, reinterpret_cast<const char*>(turned.data()), kCount * 4, queue_);
    y = std::make_unique<Guarded>(card_, nullptr, kCount * 4, queue_);
  }
  ~SmallGather() {
    card_.queues->finish(queue_, nullptr);  // buffers and kernels are given back when nobody uses them any more
    card_.kernels->destroy(kernel);
  }
  SmallGather(const SmallGather&) = delete;
  SmallGather& operator=(const SmallGather&) = delete;

  bp_status prepare(bp_error* error) {
    info.size = sizeof(info);
    return card_.kernels->prepare(card_.device, &op_, nullptr, &kernel, &info, error);
  }
  bp_status enqueue(bp_error* error) { return enqueue(x->view(0), y->view(0), error); }
  bp_status enqueue(bp_view from, bp_view to, bp_error* error) {
    const bp_view in[] = {from, indices->view(0)};
    return card_.kernels->enqueue(queue_, kernel, in, &to, bp_view{nullptr, 0}, error);
  }
  /// The gather turns x round.
  static float expected(int64_t i) { return static_cast<float>(kCount - 1 - i); }
  bool is_turned(const Guarded& result) const {
    const std::vector<char> bytes = result.contents();
    for (int64_t i = 0; i < kCount; ++i) {
      if (read_element(BP_F32, bytes.data() + 4 * i) != static_cast<double>(expected(i))) return false;
    }
    return true;
  }

  std::unique_ptr<Guarded> x, indices, y;
  bp_kernel* kernel = nullptr;
  bp_kernel_info info{};

 private:
  Card& card_;
  bp_queue* queue_;
  Case case_;
  bp_program program_{};
  bp_op op_{};
};

}  // namespace card_test
