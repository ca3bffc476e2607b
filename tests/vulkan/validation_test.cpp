// SPDX-License-Identifier: Apache-2.0
// The short form of vulkan_validated_test: the validation layer finds nothing in a few launches, and it would have.
#include <gtest/gtest.h>

#include <dlfcn.h>

#include "support.h"

namespace vulkan_test {
namespace {

/// Messages of the validation layer.
size_t complaints(const Card& card) {
  size_t count = 0;
  for (const std::string& line : card.log) count += line.find("MessageID") != std::string::npos;
  return count;
}

void chain(const Card& card) {
  const Ints a(card, 256), b(card, 256), order(card, 256);
  const Shuffle shuffle(card, 256);
  const int32_t zero = 0;
  card.queues->fill(card.queue, order.at(0), &zero, 4, 1024, nullptr);
  card.queues->fill(card.queue, a.at(0), &zero, 4, 1024, nullptr);
  shuffle.run(a, order, b);
  shuffle.run(b, order, a);
  card.queues->copy(card.queue, b.at(0), a.at(0), 1024, nullptr);
  card.queues->finish(card.queue, nullptr);
}

/// Launches that need no barrier between them, their operands side by side in one block: nothing is bound beyond what an
/// operation touches, else the layer would see the second write into what the first reads.
void side_by_side(const Card& card) {
  const Ints a(card, 256), order(card, 256), b(card, 256), c(card, 256);
  const Shuffle shuffle(card, 256);
  const int32_t zero = 0;
  for (const Ints* ints : {&a, &order}) card.queues->fill(card.queue, ints->at(0), &zero, 4, 1024, nullptr);
  shuffle.run(a, order, b);
  shuffle.run(a, order, c);
  card.queues->finish(card.queue, nullptr);
}

TEST(VulkanValidation, FindsMissingBarriersAndNothingElse) {
  // The layer keeps memory for good. Once it is unloaded, LeakSanitizer cannot tell whose that is.
  dlopen("libVkLayer_khronos_validation.so", RTLD_LAZY | RTLD_NODELETE);
  const auto good = open_card({{"vulkan.validation", "1"}});
  chain(*good);
  side_by_side(*good);
  EXPECT_EQ(complaints(*good), 0u) << good->log.front();
  Faults faults;
  faults.drop_barriers();
  const auto bad = open_card({{"vulkan.validation", "1"}, {"vulkan.loader", FAULT_LOADER}});
  chain(*bad);
  EXPECT_GT(complaints(*bad), 0u);  // so the layer looks, and looks at synchronisation
}

}  // namespace
}  // namespace vulkan_test
