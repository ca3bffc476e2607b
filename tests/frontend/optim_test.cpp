// SPDX-License-Identifier: Apache-2.0
// Optimisers against their formulas in double, schedules, clipping, and what must not retrace.
#include "backplane/optim.h"

#include <cmath>
#include <numbers>

#include "frontend/support.h"

namespace backplane::tests {
namespace {

const std::vector<float> kStart = {1, -2, 0.5f};
constexpr int kSteps = 5;

Tensor start() { return Tensor::from(kStart, {3}); }
/// loss = sum(w^4) / 4: the gradient w^3 changes from step to step.
Tensor loss_of(const Variable& w) { return sum(square(square(w))) * 0.25; }

/// Weights after kSteps, by a function (w, gradient, step from 1) -> new w per element.
template <class Rule>
std::vector<float> by_hand(Rule rule) {
  std::vector<float> result;
  for (size_t i = 0; i < kStart.size(); ++i) {
    double w = kStart[i];
    Rule mine = rule;  // its own state
    for (int t = 1; t <= kSteps; ++t) w = mine(w, w * w * w, t);
    result.push_back(static_cast<float>(w));
  }
  return result;
}

template <class Optimizer>
void train(Optimizer& optimizer, const Variable& w) {
  for (int i = 0; i < kSteps; ++i) {
    optimizer.zero_grad();
    loss_of(w).backward();
    optimizer.step();
  }
}

TEST(SGD, FollowsItsFormula) {
  const Variable w(start(), "w");
  optim::SGD sgd({w}, {.learning_rate = 0.05, .weight_decay = 0.1});
  train(sgd, w);
  expect_near(w, by_hand([](double x, double g, int) { return x - 0.05 * (g + 0.1 * x); }));
}

TEST(SGD, WithMomentum) {
  const Variable w(start(), "w");
  optim::SGD sgd({w}, {.learning_rate = 0.05, .momentum = 0.9});
  train(sgd, w);
  expect_near(w, by_hand([v = 0.0](double x, double g, int) mutable {
                v = 0.9 * v + g;
                return x - 0.05 * v;
              }));
  EXPECT_EQ(sgd.state()[1].name(), "w.sgd.velocity");
}

TEST(SGD, WithNesterovsMomentum) {
  const Variable w(start(), "w");
  optim::SGD sgd({w}, {.learning_rate = 0.05, .momentum = 0.8, .nesterov = true});
  train(sgd, w);
  expect_near(w, by_hand([v = 0.0](double x, double g, int) mutable {
                v = 0.8 * v + g;
                return x - 0.05 * (g + 0.8 * v);
              }));
  EXPECT_THAT(message_of([&] { optim::SGD({w}, {.nesterov = true}); }), HasSubstr("momentum"));
}

struct AdamRule {
  double decay = 0, decoupled = 0, m = 0, v = 0;
  double operator()(double x, double g, int t) {
    g += decay * x;
    m = 0.9 * m + 0.1 * g;
    v = 0.999 * v + 0.001 * g * g;
    x *= 1 - 0.1 * decoupled;
    return x - 0.1 * (m / (1 - std::pow(0.9, t))) / (std::sqrt(v / (1 - std::pow(0.999, t))) + 1e-8);
  }
};

TEST(Adam, FollowsItsFormula) {
  const Variable w(start(), "w");
  optim::Adam adam({w}, {.learning_rate = 0.1, .weight_decay = 0.01});
  train(adam, w);
  expect_near(w, by_hand(AdamRule{.decay = 0.01}));
  std::vector<std::string> names;
  for (const Variable& each : adam.state()) names.push_back(each.name());
  EXPECT_THAT(names, ElementsAre("adam.learning_rate", "w.adam.m", "w.adam.v", "adam.steps"));
}

TEST(AdamW, ShrinksTheWeightsApart) {
  const Variable w(start(), "w");
  optim::AdamW adam({w}, {.learning_rate = 0.1, .weight_decay = 0.2});
  train(adam, w);
  expect_near(w, by_hand(AdamRule{.decoupled = 0.2}));
}

TEST(Optimizers, UpdateHalfTypesInF32) {
  const Variable w(start().to(bf16), "w");
  optim::Adam adam({w}, {.learning_rate = 0.1});
  adam.zero_grad();
  sum(w * w).backward();
  adam.step();
  EXPECT_EQ(w.dtype(), bf16);
  EXPECT_EQ(adam.state()[1].dtype(), f32);
  expect_near(w, {0.9f, -1.9f, 0.4f}, 0.01f);
}

TEST(Optimizers, ANewLearningRateNeverRetraces) {
  const Variable w(start(), "w");
  optim::SGD sgd({w}, {.learning_rate = 1});
  auto step = compile([&] {
    sgd.zero_grad();
    sum(w * Tensor::from({1, 2, 3}, {3})).backward();
    sgd.step();
  });
  step();
  expect_near(w, {0, -4, -2.5f});
  sgd.set_learning_rate(0.5);
  step();
  expect_near(w, {-0.5f, -5, -4});
  EXPECT_EQ(step.traces(), 1u);
}

TEST(Optimizers, SymbolicStepsAreTheSameSteps) {
  const Variable eager(start(), "e"), symbolic(start(), "s");
  optim::Adam a({eager}, {.learning_rate = 0.1}), b({symbolic}, {.learning_rate = 0.1});
  train(a, eager);
  Graph graph;
  std::vector<Fetch> fetches;
  {
    const auto building = graph.build();
    for (const Assignment& each : b.apply(gradients(loss_of(symbolic), b.tensors()))) fetches.emplace_back(each);
  }
  Session session;
  for (int i = 0; i < kSteps; ++i) session.run(fetches);
  expect_near(symbolic, values(eager), 1e-6f);
}

TEST(Optimizers, LeaveAloneWhatHasNoGradient) {
  const Variable used(start(), "used"), unused(start(), "unused");
  optim::Adam adam({used, unused}, {.learning_rate = 0.1});
  loss_of(used).backward();
  adam.step();
  EXPECT_EQ(values(unused), kStart);
  EXPECT_NE(values(used), kStart);
}

TEST(Optimizers, SayWhatIsMissing) {
  const Variable w(start(), "w");
  optim::SGD sgd({w});
  EXPECT_THAT(message_of([&] { sgd.step(); }), HasSubstr("backward()"));
  EXPECT_THAT(message_of([&] { sgd.apply({}); }), HasSubstr("1 param"));
  EXPECT_THAT(message_of([] { optim::SGD({}); }), HasSubstr("no parameters"));
  EXPECT_THAT(message_of([&] { optim::SGD({w, w}); }), HasSubstr("twice"));
  EXPECT_THAT(message_of([] { optim::Adam({Variable(zeros({2}, i32), "count", false)}); }), HasSubstr("i32[2]"));
}

TEST(ClipByGlobalNorm, ScalesAllGradientsTogether) {
  const Tensor g[] = {Tensor::from({3, 0}, {2}), Tensor(), Tensor::from({4}, {1})};
  const auto clipped = optim::clip_by_global_norm(g, 1);
  expect_near(clipped[0], {0.6f, 0});
  EXPECT_FALSE(clipped[1].defined());
  expect_near(clipped[2], {0.8f});
  expect_near(optim::clip_by_global_norm(g, 100)[0], {3, 0});
  const Variable w(start(), "w");
  optim::SGD sgd({w}, {.learning_rate = 1, .clip_norm = 1});
  sum(w * 100.0).backward();
  sgd.step();
  const float s = 1 / std::sqrt(3.0f);
  expect_near(w, {1 - s, -2 - s, 0.5f - s});
}

TEST(Schedules, AreFunctionsOfTheStep) {
  const optim::Schedule c = optim::cosine(2, 100, 1);
  EXPECT_DOUBLE_EQ(c(0), 2);
  EXPECT_DOUBLE_EQ(c(50), 1.5);
  EXPECT_DOUBLE_EQ(c(100), 1);
  EXPECT_DOUBLE_EQ(c(1000), 1);
  const optim::Schedule w = optim::warmup(4, optim::constant(1));
  EXPECT_DOUBLE_EQ(w(0), 0.2);
  EXPECT_DOUBLE_EQ(w(3), 0.8);
  EXPECT_DOUBLE_EQ(w(4), 1);
  EXPECT_DOUBLE_EQ(optim::step_decay(1, 10, 0.5)(25), 0.25);
}

}  // namespace
}  // namespace backplane::tests
