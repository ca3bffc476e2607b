// SPDX-License-Identifier: Apache-2.0
// The drivers of two cards in one process, whichever comes first: each test has a process of its own under ctest.
#include "cards/small_op.h"

namespace card_test {
namespace {

void use(std::initializer_list<const char*> plugins) {
  std::vector<std::unique_ptr<Card>> cards;
  for (const char* plugin : plugins) cards.push_back(std::make_unique<Card>(plugin));
  for (int round = 0; round < 2; ++round) {
    for (const auto& card : cards) {
      bp_error error = make_error();
      SmallGather gather(*card);
      ASSERT_EQ(gather.prepare(&error), BP_OK) << error.message;
      ASSERT_EQ(gather.enqueue(&error), BP_OK) << error.message;
      EXPECT_TRUE(gather.is_turned(*gather.y)) << card->api->name;
    }
  }
}

TEST(TwoDrivers, OpenClFirst) { use({CARD_PLUGIN, VULKAN_PLUGIN}); }
TEST(TwoDrivers, VulkanFirst) { use({VULKAN_PLUGIN, CARD_PLUGIN}); }

}  // namespace
}  // namespace card_test
