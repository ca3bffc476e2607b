// SPDX-License-Identifier: Apache-2.0
// Gradients of eager programs.
#include "frontend/support.h"

namespace backplane::tests {
namespace {

TEST(Backward, FillsTheLeaves) {
  const Tensor x = Tensor::from({1, 2, 3}, {3}).requires_grad(), w = Tensor::from({4, 5, 6}, {3}).requires_grad();
  sum(x * w + x).backward();
  EXPECT_THAT(values(x.grad()), ElementsAre(5, 6, 7));
  EXPECT_THAT(values(w.grad()), ElementsAre(1, 2, 3));
}

TEST(Backward, AddsUntilToldToForget) {
  const Tensor x = Tensor::from({3}, {1}).requires_grad();
  EXPECT_FALSE(x.grad().defined());
  sum(x * x).backward();
  sum(x * x).backward();
  EXPECT_THAT(values(x.grad()), ElementsAre(12));
  x.zero_grad();
  sum(x).backward();
  EXPECT_THAT(values(x.grad()), ElementsAre(1));
}

TEST(Backward, SumsOverBroadcastAxes) {
  const Tensor b = Tensor::from({0, 0}, {2}).requires_grad(), s = Tensor::from({2}, {}).requires_grad();
  sum((ones({3, 2}) + b) * s).backward();
  EXPECT_THAT(values(b.grad()), ElementsAre(6, 6));
  EXPECT_THAT(values(s.grad()), ElementsAre(6));
}

TEST(Backward, TakesTheGradientOfTheResult) {
  const Tensor x = Tensor::from({1, 2}, {2}).requires_grad();
  (x * x).backward(Tensor::from({1, 10}, {2}));
  EXPECT_THAT(values(x.grad()), ElementsAre(2, 40));
}

TEST(Backward, OfSeveralElementsWantsADirection) {
  const Tensor x = Tensor::from({1, 2}, {2}).requires_grad();
  EXPECT_THAT(message_of([&] { (x * x).backward(); }), HasSubstr("f32[2]"));
}

TEST(Gradients, CanBeTakenTwice) {
  const Tensor x = Tensor::from({1, 2, -3}, {3}).requires_grad();
  const Tensor first = gradients(sum(x * x * x), std::vector{x})[0];
  EXPECT_THAT(values(first), ElementsAre(3, 12, 27));
  const Tensor second = gradients(sum(first), std::vector{x})[0];
  EXPECT_THAT(values(second), ElementsAre(6, 12, -18));
}

TEST(Gradients, HessianVectorProductMatchesDifferences) {
  // f(x) = sum(tanh(x) exp(x)); H v from two reverse sweeps against differences of the gradient.
  const std::vector<float> at = {0.3f, -0.7f, 1.1f}, v = {1, -2, 0.5f};
  const auto gradient = [](const Tensor& x) { return gradients(sum(tanh(x) * exp(x)), std::vector{x})[0]; };
  const Tensor x = Tensor::from(at, {3}).requires_grad();
  const std::vector<float> hv = values(gradients(sum(gradient(x) * Tensor::from(v, {3})), std::vector{x})[0]);
  const double h = 1e-3;
  std::vector<double> up(3), down(3);
  for (int i = 0; i < 3; ++i) {
    up[i] = at[i] + h * v[i];
    down[i] = at[i] - h * v[i];
  }
  const auto gu = gradient(Tensor::from(up, {3}).requires_grad()).to_vector<double>();
  const auto gd = gradient(Tensor::from(down, {3}).requires_grad()).to_vector<double>();
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(hv[i], (gu[i] - gd[i]) / (2 * h), 1e-4);
}

TEST(NoGrad, RecordsNothing) {
  const Tensor x = Tensor::from({1, 2}, {2}).requires_grad();
  Tensor y;
  {
    const NoGrad no_grad;
    y = sum(x * x);
  }
  EXPECT_EQ(y.item(), 5);
  EXPECT_NE(message_of([&] { y.backward(); }), "");
  sum(x).backward();
  EXPECT_THAT(values(x.grad()), ElementsAre(1, 1));
}

TEST(Detach, CutsTheHistory) {
  const Tensor x = Tensor::from({3}, {1}).requires_grad();
  const Tensor constant = (x * x).detach();
  sum(constant * x).backward();
  EXPECT_THAT(values(x.grad()), ElementsAre(9));
  x.zero_grad();
  sum(stop_gradient(x * x) * x).backward();
  EXPECT_THAT(values(x.grad()), ElementsAre(9));
}

TEST(Gradients, WhereThereAreNoneThatIsSaid) {
  const Tensor x = Tensor::from({1.5, 2.5}, {2}).requires_grad();
  std::string line;
  const std::string text = message_of([&] {
    line = next_line();
    gradients(sum(floor(x)), std::vector{x});
  });
  EXPECT_THAT(text, HasSubstr("differentiable"));
  EXPECT_THAT(text, HasSubstr("f32[2]"));
  EXPECT_THAT(text, HasSubstr(line));
}

TEST(VariableGradients, OnlyTrainableOnesHaveThem) {
  const Variable w(Tensor::from({1, 2}, {2}), "w"), fixed(Tensor::from({3, 4}, {2}), "fixed", false);
  sum(w * fixed).backward();
  EXPECT_THAT(values(w.grad()), ElementsAre(3, 4));
  EXPECT_FALSE(fixed.grad().defined());
  w.zero_grad();
  EXPECT_FALSE(w.grad().defined());
}

TEST(VariableGradients, AreForTheValueThatWasRead) {
  const Variable w(Tensor::from({2}, {1}), "w");
  const Tensor loss = sum(w * w);
  w.assign(Tensor::from({100}, {1}));
  loss.backward();
  EXPECT_THAT(values(w.grad()), ElementsAre(4));
}

TEST(Backward, SurvivesAVeryLongChain) {
  const Tensor x = Tensor::from({1}, {1}).requires_grad();
  Tensor y = x;
  for (int i = 0; i < 20000; ++i) y = y + 1;
  sum(y).backward();
  EXPECT_THAT(values(x.grad()), ElementsAre(1));
}

}  // namespace
}  // namespace backplane::tests
