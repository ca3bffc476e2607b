// SPDX-License-Identifier: Apache-2.0
// A card's memory: counted, reused, never shared by two buffers, refused beyond what there is. Cards whose memory the
// host cannot reach show only the counting.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "cards/card.h"

namespace card_test {
namespace {

uint64_t used_bytes() {
  Card& card = card_under_test();
  bp_error error = make_error();
  bp_memory_usage usage{};
  usage.size = sizeof(usage);
  EXPECT_EQ(card.memory->usage(card.device, &usage, &error), BP_OK) << error.message;
  return usage.used;
}

/// NULL where the host has no address for the buffer.
unsigned char* address_of(bp_buffer* buffer) {
  bp_error error = make_error();
  void* data = nullptr;
  return card_under_test().memory->host_pointer(buffer, &data, &error) == BP_OK ? static_cast<unsigned char*>(data)
                                                                                : nullptr;
}

TEST(Memory, IsCountedAndReused) {
  Card& card = card_under_test();
  bp_error error = make_error();
  const uint64_t before = used_bytes();
  for (uint32_t kind : {BP_MEMORY_DEVICE, BP_MEMORY_STAGING}) {
    for (uint64_t bytes : {uint64_t{1}, uint64_t{257}, uint64_t{5000}, uint64_t{5'000'001}}) {
      unsigned char* first = nullptr;
      for (int round = 0; round < 2; ++round) {
        bp_buffer* buffer = nullptr;
        ASSERT_EQ(card.memory->alloc(card.device, bytes, kind, &buffer, &error), BP_OK) << error.message;
        EXPECT_EQ(used_bytes(), before + bytes);
        if (unsigned char* data = address_of(buffer); data != nullptr) {
          EXPECT_EQ(reinterpret_cast<uintptr_t>(data) % 64, 0u);
          std::memset(data, 1, bytes);
          if (round == 0) first = data;
          else EXPECT_EQ(data, first);
        }
        card.memory->free(buffer);
      }
    }
  }
  EXPECT_EQ(used_bytes(), before);
  bp_buffer* buffer = nullptr;
  EXPECT_EQ(card.memory->alloc(card.device, uint64_t{1} << 61, BP_MEMORY_DEVICE, &buffer, &error), BP_E_OUT_OF_MEMORY);
  EXPECT_EQ(used_bytes(), before);
}

TEST(Memory, PiecesOfAllSizesDoNotOverlap) {
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
    piece.data = address_of(piece.buffer);
    if (piece.data == nullptr) {
      card.memory->free(piece.buffer);
      GTEST_SKIP() << "the host cannot reach this card's memory";
    }
    piece.data[0] = piece.data[piece.bytes - 1] = piece.mark;
    pieces.push_back(piece);
  }
  for (const Piece& piece : pieces) card.memory->free(piece.buffer);
}

}  // namespace
}  // namespace card_test
