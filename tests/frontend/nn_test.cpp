// SPDX-License-Identifier: Apache-2.0
// Modules and layers.
#include "backplane/nn.h"

#include <cmath>

#include "frontend/support.h"

namespace backplane::tests {
namespace {

struct Block : nn::Module {
  nn::Linear inner{3, 3, false};
  std::vector<nn::Linear> list{nn::Linear(3, 2), nn::Linear(2, 1)};
  BP_FIELDS(inner, list)
};
struct Net : nn::Module {
  nn::Linear first{2, 3};
  Block block;
  Variable scale_{ones({}), "scale"};
  nn::BatchNorm2d norm{3};
  BP_FIELDS(first, block, scale_, norm)
};

std::vector<std::string> names_of(const std::vector<nn::NamedVariable>& variables) {
  std::vector<std::string> names;
  for (const auto& each : variables) names.push_back(each.name);
  return names;
}

TEST(Module, NamesComeFromTheFields) {
  Net net;
  EXPECT_THAT(
      names_of(nn::named_parameters(net)),
      ElementsAre("first.weight", "first.bias", "block.inner.weight", "block.list.0.weight", "block.list.0.bias",
                  "block.list.1.weight", "block.list.1.bias", "scale", "norm.weight", "norm.bias"));
  EXPECT_THAT(names_of(nn::named_variables(net)), ::testing::Contains("norm.running_var"));
  EXPECT_EQ(nn::count_parameters(net), 6 + 3 + 9 + 6 + 2 + 2 + 1 + 1 + 3 + 3);
  EXPECT_EQ(nn::parameters(net)[2].name(), "block.inner.weight");
}

TEST(Module, TiedWeightsAreListedOnce) {
  struct Tied : nn::Module {
    nn::Linear a{2, 2}, b{2, 2};
    BP_FIELDS(a, b)
  } net;
  net.b.weight = net.a.weight;
  EXPECT_THAT(names_of(nn::named_parameters(net)), ElementsAre("a.weight", "a.bias", "b.bias"));
}

TEST(Module, TrainingReachesEveryPart) {
  Net net;
  nn::set_training(net, false);
  EXPECT_FALSE(net.training);
  EXPECT_FALSE(net.block.list[1].training);
  EXPECT_FALSE(net.norm.training);
  nn::set_training(net, true);
  EXPECT_TRUE(net.norm.training);
}

TEST(Module, ACopySharesItsVariables) {
  const nn::Linear a(2, 2);
  const nn::Linear b = a;
  a.bias.assign(Tensor::from({5, 6}, {2}));
  EXPECT_THAT(values(b.bias), ElementsAre(5, 6));
}

TEST(Sequential, RunsItsLayersInOrder) {
  nn::Sequential net(nn::Flatten(), nn::Linear(4, 3), nn::ReLU(), nn::Linear(3, 2));
  EXPECT_THAT(names_of(nn::named_parameters(net)), ElementsAre("1.weight", "1.bias", "3.weight", "3.bias"));
  const Tensor x = reshape(arange(8, f32), {2, 2, 2});
  const auto p = nn::parameters(net);
  const Tensor y = matmul(relu(matmul(reshape(x, {2, 4}), p[0]) + p[1]), p[2]) + p[3];
  EXPECT_EQ(values(net(x)), values(y));
}

TEST(Linear, IsAProductAndASum) {
  const nn::Linear layer(2, 3);
  layer.weight.assign(Tensor::from({1, 2, 3, 4, 5, 6}, {2, 3}));
  layer.bias.assign(Tensor::from({10, 20, 30}, {3}));
  EXPECT_THAT(values(layer(Tensor::from({1, 10}, {1, 2}))), ElementsAre(51, 72, 93));
}

TEST(Linear, AWrongInputNamesTheUsersLine) {
  const nn::Linear layer(2, 3);
  std::string line;
  const std::string text = message_of([&] {
    line = next_line();
    layer(ones({4, 5}));
  });
  EXPECT_THAT(text, HasSubstr("f32[4,5]"));
  EXPECT_THAT(text, HasSubstr("f32[2,3]"));
  EXPECT_THAT(text, HasSubstr(line));
}

TEST(Layers, RefuseSizesThatMakeNoSense) {
  EXPECT_THAT(message_of([] { nn::Linear(0, 3); }), HasSubstr("inputs"));
  EXPECT_THAT(message_of([] { nn::Conv2d(3, 4, 3, {.groups = 2}); }), HasSubstr("groups"));
  EXPECT_THAT(message_of([] { nn::Dropout(1.5); }), HasSubstr("1.5"));
  EXPECT_THAT(message_of([] { nn::BatchNorm2d(3)(ones({2, 4, 1, 1})); }), HasSubstr("f32[2,4,1,1]"));
  EXPECT_THAT(message_of([] { nn::LayerNorm({3})(ones({2, 4})); }), HasSubstr("f32[2,4]"));
}

TEST(Conv2d, CorrelatesAndAddsTheBias) {
  const nn::Conv2d layer(1, 1, 3, {.padding = 1});
  std::vector<float> middle(9, 0);
  middle[4] = 2;
  middle[5] = 1;  // the right neighbour
  layer.weight.assign(Tensor::from(middle, {1, 1, 3, 3}));
  layer.bias.assign(Tensor::from({100}, {1}));
  EXPECT_THAT(values(layer(Tensor::from({1, 2, 3, 4}, {1, 1, 2, 2}))), ElementsAre(104, 104, 110, 108));
}

TEST(Pooling, TakesWindows) {
  const Tensor x = reshape(arange(16, f32), {1, 1, 4, 4});
  EXPECT_THAT(values(nn::MaxPool2d(2)(x)), ElementsAre(5, 7, 13, 15));
  EXPECT_THAT(values(nn::AvgPool2d(2)(x)), ElementsAre(2.5, 4.5, 10.5, 12.5));
  EXPECT_EQ(nn::MaxPool2d(3, 1, 1)(x).shape(), Shape({1, 1, 4, 4}));
}

TEST(LayerNorm, CentresAndScalesTheLastAxes) {
  const nn::LayerNorm layer({2, 2}, 0);
  layer.weight.assign(full({2, 2}, 3));
  layer.bias.assign(full({2, 2}, 1));
  const float s = 3 / std::sqrt(1.25f);
  expect_near(layer(Tensor::from({1, 2, 3, 4}, {1, 2, 2})), {1 - 1.5f * s, 1 - 0.5f * s, 1 + 0.5f * s, 1 + 1.5f * s});
}

TEST(RMSNorm, DividesByTheRootOfTheMeanSquare) {
  const float s = 1 / std::sqrt(12.5f);
  expect_near(nn::RMSNorm(2, 0)(Tensor::from({3, -4}, {1, 2})), {3 * s, -4 * s});
}

TEST(BatchNorm, UsesTheBatchInTrainingAndItsMemoryLater) {
  nn::BatchNorm2d layer(2, 0, 0.25);
  const Tensor x = Tensor::from({1, 3, 10, 10, 5, 7, 10, 10}, {2, 2, 1, 2});  // channel 0: 1 3 5 7; channel 1: all 10
  layer.epsilon = 1e-5;
  const std::vector<float> y = values(layer(x));
  const float s = 1 / std::sqrt(5.0f);
  EXPECT_NEAR(y[0], -3 * s, 1e-4);
  EXPECT_NEAR(y[5], 3 * s, 1e-4);
  EXPECT_NEAR(y[2], 0, 1e-3);
  expect_near(layer.running_mean, {0.25f * 4, 0.25f * 10});
  expect_near(layer.running_var, {0.75f + 0.25f * 5, 0.75f}, 1e-4f);
  layer.training = false;
  layer.running_mean.assign(Tensor::from({1, 2}, {2}));
  layer.running_var.assign(Tensor::from({4, 9}, {2}));
  expect_near(layer(ones({1, 2, 1, 1}) * 5), {2, 1}, 1e-4f);
  expect_near(layer.running_mean, {1, 2});
}

TEST(BatchNorm, GradientIgnoresTheMemoryAndSumsToZero) {
  const nn::BatchNorm2d layer(1);
  const Tensor x = Tensor::from({1, 2, 4, 8}, {4, 1, 1, 1}).requires_grad();
  sum(layer(x) * Tensor::from({1, 2, 3, 5}, {4, 1, 1, 1})).backward();
  EXPECT_NEAR(sum(x.grad()).item(), 0, 1e-5);
  EXPECT_NEAR(sum(x.grad() * x).item(), 0, 1e-4);
  EXPECT_TRUE(layer.weight.grad().defined());
  EXPECT_FALSE(layer.running_mean.grad().defined());
}

TEST(BatchNorm, RemembersTheSameInEveryMode) {
  const Tensor x = reshape(arange(12, f32), {2, 3, 1, 2}) * 0.3;
  const auto memory = [](const nn::BatchNorm2d& layer) {
    std::vector<float> all = values(layer.running_mean);
    for (const float v : values(layer.running_var)) all.push_back(v);
    return all;
  };
  const nn::BatchNorm2d eager(3), captured(3), symbolic(3);
  auto step = compile([&](const Tensor& t) { return captured(t); });
  Graph graph;
  Tensor input, output;
  std::vector<Fetch> fetches;
  {
    const auto building = graph.build();
    input = placeholder(f32, {dyn, 3, 1, 2}, "x");
    const nn::StateUpdates updates;
    output = symbolic(input);
    fetches.emplace_back(output);
    for (const Assignment& each : updates.assignments()) fetches.emplace_back(each);
  }
  ASSERT_EQ(fetches.size(), 3u);
  Session session;
  for (int i = 0; i < 3; ++i) {
    const std::vector<float> y = values(eager(x * (i + 1)));
    expect_near(step(x * (i + 1)), y, 1e-5f);
    expect_near(session.run(fetches, {{input, x * (i + 1)}})[0], y, 1e-5f);
  }
  EXPECT_THAT(memory(captured), Pointwise(FloatNear(1e-5f), memory(eager)));
  EXPECT_THAT(memory(symbolic), Pointwise(FloatNear(1e-5f), memory(eager)));
}

TEST(Dropout, DropsInTrainingOnly) {
  nn::Dropout layer(0.5);
  const std::vector<float> y = values(layer(ones({64})));
  EXPECT_THAT(y, ::testing::Contains(0.0f));
  EXPECT_THAT(y, ::testing::Contains(2.0f));
  layer.training = false;
  EXPECT_EQ(values(layer(ones({64}))), std::vector<float>(64, 1.0f));
}

TEST(Embedding, LooksRowsUp) {
  const nn::Embedding table(5, 2);
  const std::vector<int32_t> at = {3, 3, 0};
  const std::vector<float> rows = values(table(Tensor::from(at, {3}))), all = values(table.weight);
  EXPECT_EQ(rows, (std::vector<float>{all[6], all[7], all[6], all[7], all[0], all[1]}));
}

TEST(Layers, CanBeMadeWhileAGraphIsBuilt) {
  Graph graph;
  Session session;
  const auto building = graph.build();
  const Tensor x = placeholder(f32, {dyn, 4}, "x");
  nn::Sequential net(nn::Linear(4, 8), nn::Tanh(), nn::LayerNorm({8}), nn::Linear(8, 2));
  const Tensor y = net(x);
  EXPECT_EQ(y.shape(), Shape({dyn, 2}));
}

}  // namespace
}  // namespace backplane::tests
