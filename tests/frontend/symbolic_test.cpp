// SPDX-License-Identifier: Apache-2.0
// Define-then-run: graphs, feeds, fetches, and the one trap there is.
#include "frontend/support.h"

namespace backplane::tests {
namespace {

TEST(Session, RunsWithAnyBatchSize) {
  Graph graph;
  const Variable w(Tensor::from({1, 2}, {2, 1}), "w");
  Tensor x, y;
  {
    const auto building = graph.build();
    x = placeholder(f32, {dyn, 2}, "x");
    y = matmul(x, w);
    EXPECT_TRUE(y.is_symbolic());
    EXPECT_EQ(y.shape(), Shape({dyn, 1}));
  }
  Session session;
  EXPECT_THAT(values(session.run(y, {{x, ones({1, 2})}})), ElementsAre(3));
  EXPECT_THAT(values(session.run(y, {{x, reshape(arange(6, f32), {3, 2})}})), ElementsAre(2, 8, 14));
  EXPECT_EQ(session.cached_plans(), 2u);
  session.run(y, {{x, ones({1, 2})}});
  EXPECT_EQ(session.cached_plans(), 2u);
}

TEST(Session, KeepsABoundedNumberOfPlans) {
  Graph graph;
  Tensor x, y;
  {
    const auto building = graph.build();
    x = placeholder(f32, {dyn}, "x");
    y = sum(x);
  }
  Session session;
  for (int n = 1; n <= 40; ++n) EXPECT_EQ(session.run(y, {{x, ones({n})}}).item(), n);
  EXPECT_LE(session.cached_plans(), 32u);
  EXPECT_EQ(session.run(y, {{x, ones({1})}}).item(), 1);
}

TEST(Session, AMissingFeedIsNamedWithItsLine) {
  Graph graph;
  Tensor a, b, y;
  std::string line;
  {
    const auto building = graph.build();
    a = placeholder(f32, {2}, "left");
    line = next_line();
    b = placeholder(f32, {2}, "right");
    y = a + b;
  }
  Session session;
  const std::string text = message_of([&] { session.run(y, {{a, ones({2})}}); });
  EXPECT_THAT(text, HasSubstr("right"));
  EXPECT_THAT(text, HasSubstr(line));
  EXPECT_THAT(values(session.run(a * 2, {{a, ones({2})}})), ElementsAre(2, 2))
      << "a feed nobody needs is not asked for";
}

TEST(Session, AFeedThatDoesNotFitIsRefused) {
  Graph graph;
  Tensor x, y;
  {
    const auto building = graph.build();
    x = placeholder(f32, {dyn, 3}, "pixels");
    y = x * 2;
  }
  Session session;
  const std::string text = message_of([&] { session.run(y, {{x, ones({2, 4})}}); });
  EXPECT_THAT(text, HasSubstr("pixels"));
  EXPECT_THAT(text, HasSubstr("f32[2,4]"));
  EXPECT_THAT(message_of([&] { session.run(y, {{x, ones({2, 3}, i32)}}); }), HasSubstr("i32[2,3]"));
  EXPECT_NE(message_of([&] { session.run(y, {{y, ones({2, 3})}, {x, ones({2, 3})}}); }), "");
}

TEST(Session, FetchesSeveralAndAssignsOnlyWhenAsked) {
  Graph graph;
  const Variable w(full({}, 1), "w");
  Tensor x, loss;
  Assignment train;
  {
    const auto building = graph.build();
    x = placeholder(f32, {}, "x");
    loss = square(w * x - 6);
    train = w.assign(w - 0.1 * gradients(loss, std::vector<Tensor>{w})[0]);
  }
  Session session;
  const Tensor two = full({}, 2);
  EXPECT_EQ(session.run(loss, {{x, two}}).item(), 16);
  EXPECT_EQ(w.read().item(), 1) << "nothing was asked to be assigned";
  const std::vector<Tensor> got = session.run({loss, train}, {{x, two}});
  EXPECT_EQ(got[0].item(), 16) << "the loss is that of the old weight";
  EXPECT_NEAR(got[1].item(), 2.6, 1e-6);  // 1 + 0.1 * 2 * 2 * 4
  EXPECT_NEAR(w.read().item(), 2.6, 1e-6);
  for (int i = 0; i < 30; ++i) session.run(train, {{x, two}});
  EXPECT_NEAR(w.read().item(), 3, 1e-4);
}

TEST(Session, GradientsCanBeTakenTwice) {
  Graph graph;
  Tensor x, second;
  {
    const auto building = graph.build();
    x = placeholder(f32, {dyn}, "x");
    const Tensor first = gradients(sum(x * x * x), std::vector{x})[0];
    second = gradients(sum(first), std::vector{x})[0];
  }
  Session session;
  EXPECT_THAT(values(session.run(second, {{x, Tensor::from({1, -2}, {2})}})), ElementsAre(6, -12));
}

TEST(Session, GradientsThatDoNotExistNameTheOpInTheWay) {
  Graph graph;
  Tensor x, slope;
  std::string line;
  {
    const auto building = graph.build();
    x = placeholder(f32, {dyn}, "x");
    line = next_line();
    const Tensor steps = floor(x);
    slope = gradients(sum(steps), std::vector{x})[0];
  }
  Session session;
  const std::string text = message_of([&] { session.run(slope, {{x, ones({2})}}); });
  EXPECT_THAT(text, HasSubstr("floor"));
  EXPECT_THAT(text, HasSubstr(line));
}

// lambda * sum(W * W) names Variables only. Read as eager code it would be computed once, at its value of now.
TEST(TheTrap, VariablesInsideAGraphAreRead) {
  Graph graph;
  const Variable w(Tensor::from({1, 2}, {2}), "w");
  Tensor x, loss, slope;
  {
    const auto building = graph.build();
    x = placeholder(f32, {2}, "x");
    const Tensor penalty = 0.5 * sum(w * w);
    EXPECT_TRUE(penalty.is_symbolic());
    loss = sum(w * x) + penalty;
    slope = gradients(loss, std::vector<Tensor>{w})[0];
  }
  Session session;
  const std::vector<Feed> feeds = {{x, Tensor::from({10, 20}, {2})}};
  EXPECT_EQ(session.run(loss, feeds).item(), 50 + 2.5);
  EXPECT_THAT(values(session.run(slope, feeds)), ElementsAre(11, 22));
  w.assign(Tensor::from({0, 4}, {2}));
  EXPECT_EQ(session.run(loss, feeds).item(), 80 + 8) << "the penalty was frozen";
}

TEST(TheTrap, AValueReadOutsideMayNotEnter) {
  Graph graph;
  const Variable w(Tensor::from({1, 2}, {2}), "regularised");
  const std::string line = next_line();
  const Tensor penalty = 0.5 * sum(w * w);
  const auto building = graph.build();
  const Tensor x = placeholder(f32, {2}, "x");
  const std::string text = message_of([&] { sum(x) + penalty; });
  EXPECT_THAT(text, HasSubstr("regularised"));
  EXPECT_THAT(text, HasSubstr(line));
  const std::string plain = message_of([&] { x* w.read().detach() + penalty; });
  EXPECT_THAT(plain, HasSubstr("regularised"));
}

TEST(Graph, PlaceholdersNeedAScope) {
  EXPECT_THAT(message_of([] { placeholder(f32, {2}, "x"); }), HasSubstr("graph"));
}

TEST(Graph, ValuesCannotBeReadBeforeTheyAreRun) {
  Graph graph;
  const auto building = graph.build();
  const Tensor x = placeholder(f32, {2}, "x");
  EXPECT_THAT(message_of([&] { (x + 1).to_vector<float>(); }), HasSubstr("symbolic_test.cpp"));
}

TEST(Graph, PrintsItsNodes) {
  Graph graph;
  const auto building = graph.build();
  const Tensor x = placeholder(f32, {dyn, 4}, "images");
  softmax(x);
  EXPECT_THAT(graph.to_string(), HasSubstr("softmax"));
}

}  // namespace
}  // namespace backplane::tests
