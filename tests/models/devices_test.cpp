// SPDX-License-Identifier: Apache-2.0
// The same training on every card there is: the toys run it without any fallback, and all follow the reference.
#include <gtest/gtest.h>

#include <cmath>

#include "backplane/host/registry.h"
#include "models/programs.h"

namespace backplane::tests {
namespace {

Outcome train_on(const std::string& device, const Program& program, Mode mode, const std::vector<Batch>& batches) {
  set_default_device(Device(device));
  return train(program, mode, batches);
}

const Program kMlp = {
    small_mlp, optimizer_of<optim::SGD>(optim::SgdOptions{.learning_rate = 0.05, .momentum = 0.9}), {kFeatures}};
const Program kCnn = {small_cnn, optimizer_of<optim::Adam>(optim::AdamOptions{.learning_rate = 0.02}), {1, 8, 8}};

class OnDevice : public ::testing::TestWithParam<std::string> {};

TEST_P(OnDevice, EveryModeTrainsWithoutFallback) {
  const auto batches = make_batches(40, 16, kFeatures, kClasses, 9);
  const Outcome oracle = train_on("reference", kMlp, Mode::eager, batches);
  for (const Mode mode : {Mode::eager, Mode::symbolic, Mode::captured}) {
    const Outcome mine = train_on(GetParam(), kMlp, mode, batches);
    EXPECT_GT(mine.nodes.first, 0u) << name_of(mode);
    EXPECT_EQ(mine.nodes.second, 0u) << name_of(mode);
    EXPECT_LT(mine.losses.back(), 0.5 * mine.losses.front()) << name_of(mode);
    // Rounding differs, and training lets it grow: a bound on the loss of each step, relative to its size.
    for (size_t i = 0; i < oracle.losses.size(); ++i) {
      EXPECT_NEAR(mine.losses[i], oracle.losses[i], 1e-4 * (1 + std::abs(oracle.losses[i])))
          << name_of(mode) << " step " << i;
    }
  }
}

TEST_P(OnDevice, WeightsFollowTheReference) {
  const auto batches = make_batches(10, 16, kFeatures, kClasses, 21);
  const Outcome oracle = train_on("reference", kMlp, Mode::captured, batches);
  const Outcome mine = train_on(GetParam(), kMlp, Mode::captured, batches);
  for (size_t v = 0; v < oracle.weights.size(); ++v) {
    for (size_t i = 0; i < oracle.weights[v].second.size(); ++i) {
      ASSERT_NEAR(mine.weights[v].second[i], oracle.weights[v].second[i], 1e-5)
          << oracle.weights[v].first << " element " << i;
    }
  }
}

TEST_P(OnDevice, ACnnLearnsASmallBatchByHeart) {
  const std::vector<Batch> one = make_batches(1, 8, 64, kClasses, 4);
  const std::vector<Batch> batches(120, one.front());
  const Outcome mine = train_on(GetParam(), kCnn, Mode::captured, batches);
  EXPECT_GT(mine.losses.front(), 0.5);
  EXPECT_LT(mine.losses.back(), 0.01);
  EXPECT_EQ(mine.nodes.second, 0u);
}

INSTANTIATE_TEST_SUITE_P(Cards, OnDevice, ::testing::Values(BACKPLANE_TEST_DEVICES),
                         [](const auto& info) { return info.param.substr(0, info.param.find(':')); });

}  // namespace
}  // namespace backplane::tests
