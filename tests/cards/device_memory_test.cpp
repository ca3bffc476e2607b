// SPDX-License-Identifier: Apache-2.0
// The card's memory beside what tests/cards asks of every card: exhausted without harm, or the host's own.
#include <algorithm>
#include <cstdlib>

#include "cards/small_op.h"

namespace card_test {
namespace {

TEST(DeviceMemory, RunningOutLeavesTheDeviceUsable) {
  Card& card = card_under_test();
  bp_error error = make_error();
  bp_buffer* buffer = nullptr;
  EXPECT_EQ(card.memory->alloc(card.device, uint64_t{1} << 61, BP_MEMORY_DEVICE, &buffer, &error), BP_E_OUT_OF_MEMORY);
  EXPECT_TRUE((error.flags & BP_ERROR_RETRYABLE) != 0) << error.message;
  std::vector<bp_buffer*> all;  // untouched memory of a CPU device costs nothing
  bp_status status = BP_OK;
  while (all.size() < 4096 &&
         (status = card.memory->alloc(card.device, 256u << 20, BP_MEMORY_DEVICE, &buffer, &error)) == BP_OK) {
    all.push_back(buffer);
  }
  EXPECT_EQ(status, BP_E_OUT_OF_MEMORY) << "after " << all.size();
  for (bp_buffer* each : all) card.memory->free(each);
  SmallGather gather(card);
  ASSERT_EQ(gather.prepare(&error), BP_OK) << error.message;
  ASSERT_EQ(gather.enqueue(&error), BP_OK) << error.message;
  EXPECT_TRUE(gather.is_turned(*gather.y));
}

TEST(DeviceMemory, HostMemoryIsUsedInPlace) {
  Card& card = card_under_test();
  bp_error error = make_error();
  constexpr size_t kBytes = 64u << 10;  // whole pages at a page's address, which suits every driver
  const std::unique_ptr<float, decltype(&std::free)> mine(static_cast<float*>(std::aligned_alloc(kBytes, kBytes)), std::free);
  std::fill_n(mine.get(), kBytes / sizeof(float), 0.0f);
  bp_buffer* imported = nullptr;
  const auto* interop = card.interface<bp_interop_api>(BP_INTERFACE_INTEROP);
  ASSERT_NE(interop, nullptr);
  ASSERT_EQ(interop->import_host(card.device, mine.get(), kBytes, BP_ACCESS_READ | BP_ACCESS_WRITE, &imported,
                                 &error),
            BP_OK)
      << error.message;
  SmallGather gather(card);
  ASSERT_EQ(gather.prepare(&error), BP_OK) << error.message;
  ASSERT_EQ(gather.enqueue(gather.x->view(0), {imported, 4}, &error), BP_OK) << error.message;
  ASSERT_EQ(card.queues->finish(card.queue, &error), BP_OK);
  for (int64_t i = 0; i < SmallGather::kCount; ++i) {
    ASSERT_EQ(mine.get()[i + 1], SmallGather::expected(i)) << i;
  }
  EXPECT_EQ(mine.get()[0], 0.0f);
  void* native = nullptr;
  EXPECT_EQ(interop->native(imported, BP_NATIVE_BUFFER, &native, &error), BP_OK);
  EXPECT_NE(native, nullptr);
  card.memory->free(imported);
}

TEST(DeviceMemory, IsLentWhereItHasAddresses) {
  const auto* interop = card_under_test().interface<bp_interop_api>(BP_INTERFACE_INTEROP);
  ASSERT_NE(interop, nullptr);
  EXPECT_EQ(interop->dlpack_export != nullptr, card_facts().offers_dlpack);
  EXPECT_EQ(interop->dlpack_import != nullptr, card_facts().offers_dlpack);
}

}  // namespace
}  // namespace card_test
