// SPDX-License-Identifier: Apache-2.0
// With every optimisation off, the three modes give the same bits on the reference device: weights, optimiser state
// and losses after 50 steps.
#include <gtest/gtest.h>

#include <cstdlib>

#include "models/programs.h"

namespace backplane::tests {
namespace {

constexpr int64_t kSteps = 50;

struct Case {
  const char* name;
  Program program;
  int64_t features;
};

const Case kCases[] = {
    {"mlp_sgd",
     {small_mlp, optimizer_of<optim::SGD>(optim::SgdOptions{.learning_rate = 0.1}), {kFeatures}},
     kFeatures},
    {"mlp_momentum",
     {small_mlp,
      optimizer_of<optim::SGD>(optim::SgdOptions{.learning_rate = 0.05, .momentum = 0.9, .weight_decay = 1e-3}),
      {kFeatures}},
     kFeatures},
    {"mlp_nesterov_clipped",
     {small_mlp,
      optimizer_of<optim::SGD>(
          optim::SgdOptions{.learning_rate = 0.05, .momentum = 0.9, .nesterov = true, .clip_norm = 0.5}),
      {kFeatures}},
     kFeatures},
    {"mlp_adam",
     {small_mlp, optimizer_of<optim::Adam>(optim::AdamOptions{.learning_rate = 0.01}), {kFeatures}},
     kFeatures},
    {"mlp_adamw",
     {small_mlp,
      optimizer_of<optim::AdamW>(optim::AdamOptions{.learning_rate = 0.01, .weight_decay = 0.05}),
      {kFeatures}},
     kFeatures},
    {"cnn_adam", {small_cnn, optimizer_of<optim::Adam>(optim::AdamOptions{.learning_rate = 0.01}), {1, 8, 8}}, 64},
};

class Modes : public ::testing::TestWithParam<Case> {};

TEST_P(Modes, GiveTheSameBits) {
  ASSERT_STREQ(std::getenv("BACKPLANE_PASSES"), "none") << "this test is about the modes, not about the passes";
  ASSERT_EQ(default_device().name(), "reference:0");
  const auto batches = make_batches(kSteps, 12, GetParam().features, kClasses, 3);
  const Outcome eager = train(GetParam().program, Mode::eager, batches);
  EXPECT_LT(eager.losses.back(), 0.6 * eager.losses.front()) << "it did not learn, so it would prove little";
  for (const Mode mode : {Mode::symbolic, Mode::captured}) {
    const Outcome other = train(GetParam().program, mode, batches);
    EXPECT_EQ(other.losses, eager.losses) << name_of(mode);
    ASSERT_EQ(other.variables.size(), eager.variables.size());
    for (size_t i = 0; i < eager.variables.size(); ++i) {
      EXPECT_EQ(other.variables[i].first, eager.variables[i].first);
      EXPECT_TRUE(other.variables[i].second == eager.variables[i].second)
          << name_of(mode) << ": " << eager.variables[i].first << " differs";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Modes, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace backplane::tests
