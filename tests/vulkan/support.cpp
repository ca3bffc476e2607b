// SPDX-License-Identifier: Apache-2.0
#include "support.h"

#include <dlfcn.h>

namespace card_test {
const CardFacts& card_facts() {
  static const CardFacts facts{"vulkan", CARD_PLUGIN, {}, false, 1};
  return facts;
}
}  // namespace card_test

namespace vulkan_test {
namespace {

template <class F>
void find(void* library, const char* name, F& function) {
  function = reinterpret_cast<F>(dlsym(library, name));
  if (function == nullptr) throw std::runtime_error(std::string(name) + " is missing from the faulty loader");
}

}  // namespace

std::unique_ptr<Card> open_card(std::map<std::string, std::string> settings,
                                std::map<std::string, std::string>* blobs) {
  return std::make_unique<Card>(CARD_PLUGIN, std::move(settings), blobs);
}

Faults::Faults() {
  void* library = dlopen(FAULT_LOADER, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw std::runtime_error(dlerror());
  find(library, "set_fault", set_fault);
  find(library, "hide_extension", hide_extension);
  find(library, "set_drop_barriers", set_drop_barriers);
}

Faults::~Faults() {
  for (const char* name : {"vkQueueSubmit", "vkAllocateMemory", "vkWaitSemaphores", "vkCreateComputePipelines"}) {
    set_fault(name, 0, -1);
  }
  for (int slot = 0; slot < 4; ++slot) hide_extension(slot, "");
  set_drop_barriers(0);
}

Ints::Ints(const Card& card, size_t count) : card_(card), count_(count) {
  bp_error error = make_error();
  if (card.memory->alloc(card.device, count * 4, BP_MEMORY_DEVICE, &buffer, &error) != BP_OK) {
    throw std::runtime_error(error.message);
  }
}
void Ints::upload(const std::vector<int32_t>& values, bp_queue* queue) const {
  bp_error error = make_error();
  EXPECT_EQ(
      card_.queues->upload(queue != nullptr ? queue : card_.queue, at(0), values.data(), values.size() * 4, 0, &error),
      BP_OK)
      << error.message;
}
std::vector<int32_t> Ints::read(bp_queue* queue) const {
  if (queue == nullptr) queue = card_.queue;
  std::vector<int32_t> values(count_, -1);
  bp_error error = make_error();
  EXPECT_EQ(card_.queues->download(queue, values.data(), at(0), count_ * 4, &error), BP_OK) << error.message;
  EXPECT_EQ(card_.queues->finish(queue, &error), BP_OK) << error.message;
  return values;
}

Shuffle::Shuffle(const Card& card, int64_t count) : card_(card) {
  const bp_tensor_desc in[] = {card_test::lay_out(BP_I32, {1, count, 1}), card_test::lay_out(BP_I32, {count})};
  const bp_tensor_desc out[] = {card_test::lay_out(BP_I32, {1, count, 1})};
  bp_op op{};
  op.size = sizeof(op), op.code = BP_OP_GATHER, op.name = "shuffle";
  op.inputs = in, op.num_inputs = 2, op.outputs = out, op.num_outputs = 1;
  op.max_workspace = UINT64_MAX;
  bp_error error = make_error();
  info.size = sizeof(info);
  const bp_status status = card.kernels->prepare(card.device, &op, nullptr, &kernel, &info, &error);
  if (status != BP_OK) throw std::runtime_error(error.message);
}
bp_status Shuffle::run(const Ints& x, const Ints& order, const Ints& y, bp_queue* queue, bp_error* error) const {
  const bp_view in[] = {x.at(0), order.at(0)}, out[] = {y.at(0)};
  return card_.kernels->enqueue(queue != nullptr ? queue : card_.queue, kernel, in, out, {}, error);
}

}  // namespace vulkan_test
