// SPDX-License-Identifier: Apache-2.0
// The card's memory: counted, reused, never shared by two buffers, exhausted without harm, or the host's own.
#include <cstring>

#include "opencl/small_op.h"

namespace card_test {
namespace {

TEST(OpenClMemory, IsCountedAndReused) {
  Card& card = card_under_test();
  bp_error error = make_error();
  const auto used = [&] {
    bp_memory_usage usage{};
    usage.size = sizeof(usage);
    EXPECT_EQ(card.memory->usage(card.device, &usage, &error), BP_OK);
    return usage.used;
  };
  const uint64_t before = used();
  for (uint32_t kind : {BP_MEMORY_DEVICE, BP_MEMORY_STAGING}) {
    for (uint64_t bytes : {uint64_t{1}, uint64_t{257}, uint64_t{5000}, uint64_t{5'000'001}}) {
      void* first = nullptr;
      for (int round = 0; round < 2; ++round) {
        bp_buffer* buffer = nullptr;
        ASSERT_EQ(card.memory->alloc(card.device, bytes, kind, &buffer, &error), BP_OK) << error.message;
        EXPECT_EQ(used(), before + bytes);
        void* data = nullptr;
        ASSERT_EQ(card.memory->host_pointer(buffer, &data, &error), BP_OK) << error.message;
        EXPECT_EQ(reinterpret_cast<uintptr_t>(data) % 64, 0u);
        std::memset(data, 1, bytes);
        if (round == 0) first = data;
        else EXPECT_EQ(data, first);
        card.memory->free(buffer);
      }
    }
  }
  EXPECT_EQ(used(), before);
}

TEST(OpenClMemory, PiecesOfAllSizesDoNotOverlap) {
  Card& card = card_under_test();
  bp_error error = make_error();
  struct Piece {
    bp_buffer* buffer;
    unsigned char* data;
    uint64_t bytes;
    unsigned char mark;
  };
  std::vector<Piece> pieces;
  uint64_t random = 1;
  for (int step = 0; step < 4000; ++step) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    const uint64_t draw = random >> 33;
    if (pieces.size() > 200 || (draw % 3 == 0 && !pieces.empty())) {
      const size_t at = draw % pieces.size();
      const Piece& piece = pieces[at];
      EXPECT_TRUE(piece.data[0] == piece.mark && piece.data[piece.bytes - 1] == piece.mark) << step;
      card.memory->free(piece.buffer);
      pieces.erase(pieces.begin() + static_cast<std::ptrdiff_t>(at));
      continue;
    }
    Piece piece{nullptr, nullptr, 1 + draw % (draw % 50 == 0 ? 3'000'000 : 20'000), static_cast<unsigned char>(step)};
    ASSERT_EQ(card.memory->alloc(card.device, piece.bytes, BP_MEMORY_DEVICE, &piece.buffer, &error), BP_OK);
    void* data = nullptr;
    ASSERT_EQ(card.memory->host_pointer(piece.buffer, &data, &error), BP_OK);
    piece.data = static_cast<unsigned char*>(data);
    piece.data[0] = piece.data[piece.bytes - 1] = piece.mark;
    pieces.push_back(piece);
  }
  for (const Piece& piece : pieces) card.memory->free(piece.buffer);
}

TEST(OpenClMemory, RunningOutLeavesTheDeviceUsable) {
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

TEST(OpenClMemory, HostMemoryIsUsedInPlace) {
  Card& card = card_under_test();
  bp_error error = make_error();
  std::vector<float> mine(SmallGather::kCount + 1);
  bp_buffer* imported = nullptr;
  const auto* interop = card.interface<bp_interop_api>(BP_INTERFACE_INTEROP);
  ASSERT_NE(interop, nullptr);
  ASSERT_EQ(interop->import_host(card.device, mine.data(), mine.size() * 4, BP_ACCESS_READ | BP_ACCESS_WRITE, &imported,
                                 &error),
            BP_OK)
      << error.message;
  SmallGather gather(card);
  ASSERT_EQ(gather.prepare(&error), BP_OK) << error.message;
  ASSERT_EQ(gather.enqueue(gather.x->view(0), {imported, 4}, &error), BP_OK) << error.message;
  ASSERT_EQ(card.queues->finish(card.queue, &error), BP_OK);
  for (int64_t i = 0; i < SmallGather::kCount; ++i) {
    ASSERT_EQ(mine[static_cast<size_t>(i) + 1], SmallGather::expected(i)) << i;
  }
  EXPECT_EQ(mine[0], 0.0f);
  void* native = nullptr;
  EXPECT_EQ(interop->native(imported, BP_NATIVE_BUFFER, &native, &error), BP_OK);
  EXPECT_NE(native, nullptr);
  card.memory->free(imported);
}

}  // namespace
}  // namespace card_test
