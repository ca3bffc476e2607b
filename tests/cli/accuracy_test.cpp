// SPDX-License-Identifier: Apache-2.0
// The main job with its default settings on the 60,000 real images: what each model has to reach within 5 epochs.
// Without the data set (Debian package dataset-fashion-mnist, see scripts/packages.txt) this fails and says so.
#include <gtest/gtest.h>

#include "cli/process.h"

namespace backplane::tests {
namespace {

struct Goal {
  const char* model;
  double accuracy;
};

class Accuracy : public ::testing::TestWithParam<Goal> {};

TEST_P(Accuracy, IsReachedWithTheDefaults) {
  const Result run = run_backplane({"train", "--data", "fashion-mnist", "--model", GetParam().model, "--json"},
                                   {.limit = std::chrono::minutes(28)});
  ASSERT_EQ(run.code, 0) << run.err;
  const auto json = run.json();
  EXPECT_EQ(json["data"]["train_images"], 60000);
  EXPECT_EQ(json["data"]["test_images"], 10000);
  EXPECT_LE(json["epochs"].size(), 5u);
  EXPECT_EQ(json["nodes"]["fallback"], 0);
  EXPECT_GE(json["test_accuracy"], GetParam().accuracy) << run.err;
  std::printf("%s on %s: %.2f %%\n", GetParam().model, std::string(json["device"]).c_str(),
              100 * double(json["test_accuracy"]));
}

INSTANTIATE_TEST_SUITE_P(FashionMnist, Accuracy,
                         ::testing::Values(Goal{"logistic", 0.83}, Goal{"mlp", 0.88}, Goal{"cnn", 0.90}),
                         [](const auto& info) { return std::string(info.param.model); });

}  // namespace
}  // namespace backplane::tests
