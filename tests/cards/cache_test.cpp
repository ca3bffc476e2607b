// SPDX-License-Identifier: Apache-2.0
// The binaries that the card keeps in the host's cache: found again, and rebuilt whenever they are not what was put.
#include <algorithm>

#include "cards/small_op.h"

namespace card_test {
namespace {

using Blobs = std::map<std::string, std::string>;

/// Prepares and runs on a card of its own; gives the time spent compiling.
uint64_t build_time(Blobs& blobs) {
  Card card(card_facts().plugin, card_facts().settings, &blobs);
  bp_error error = make_error();
  SmallGather gather(card);
  EXPECT_EQ(gather.prepare(&error), BP_OK) << error.message;
  EXPECT_EQ(gather.enqueue(&error), BP_OK) << error.message;
  EXPECT_TRUE(gather.is_turned(*gather.y));
  return gather.info.build_time_ns;
}

TEST(Cache, BinariesAreFoundAgain) {
  Blobs blobs;
  EXPECT_GT(build_time(blobs), 0u);
  ASSERT_EQ(blobs.size(), 1u);
  EXPECT_LE(blobs.begin()->first.size(), 255u);
  const Blobs first = blobs;
  EXPECT_EQ(build_time(blobs), 0u);
  EXPECT_EQ(blobs, first);
}

TEST(Cache, DamagedEntriesAreRebuilt) {
  Blobs good;
  build_time(good);
  ASSERT_EQ(good.size(), 1u);
  const std::string whole = good.begin()->second;
  std::vector<std::string> damaged = {"", "x", whole.substr(0, 40), whole.substr(0, whole.size() / 2), whole + "x",
                                      std::string(whole.size(), '\0')};
  for (size_t at : {size_t{0}, size_t{9}, size_t{26}, size_t{34}, size_t{60}, whole.size() / 2, whole.size() - 1}) {
    damaged.push_back(whole);
    damaged.back()[at] = static_cast<char>(damaged.back()[at] ^ 0x10);
  }
  for (size_t i = 0; i < damaged.size(); ++i) {
    Blobs blobs = good;
    blobs.begin()->second = damaged[i];
    EXPECT_GT(build_time(blobs), 0u) << "damage " << i;
    EXPECT_EQ(build_time(blobs), 0u) << "damage " << i << ": the entry is good again";
  }
}

}  // namespace
}  // namespace card_test
