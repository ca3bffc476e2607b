// SPDX-License-Identifier: Apache-2.0
// An epoch of training with the validation layer between the card and the driver: captured plans, transfers beside them and
// the optimiser's steps in place, of which the layer has nothing to say.
#include <gmock/gmock.h>

#include "cli/process.h"

namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(VulkanTraining, HasNoMessagesOfTheValidationLayer) {
  const auto run = backplane::tests::run_backplane(
      {"train", "--data", "synthetic", "--model", "cnn", "--limit", "640", "--epochs", "1"},
      {.environment = {{"BACKPLANE_DEVICE", "vulkan"}, {"BACKPLANE_VULKAN_VALIDATION", "1"}},
       .limit = std::chrono::seconds(500)});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out + run.err, HasSubstr("nothing fell back to the host"));
  EXPECT_THAT(run.out + run.err, Not(HasSubstr("MessageID")));
}

}  // namespace
