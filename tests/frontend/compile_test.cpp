// SPDX-License-Identifier: Apache-2.0
// Captured functions: traced once per signature, with Variables as the only memory.
#include "backplane/graph/plan.h"
#include "frontend/support.h"

namespace backplane::tests {
namespace {

TEST(Compile, TracesOncePerSignature) {
  int calls = 0;
  auto f = compile([&](const Tensor& x) {
    ++calls;
    return x * 2 + 1;
  });
  EXPECT_THAT(values(f(Tensor::from({1, 2}, {2}))), ElementsAre(3, 5));
  EXPECT_THAT(values(f(Tensor::from({10, 20}, {2}))), ElementsAre(21, 41));
  EXPECT_EQ(f.traces(), 1u);
  EXPECT_THAT(values(f(Tensor::from({1, 2, 3}, {3}))), ElementsAre(3, 5, 7));
  EXPECT_EQ(f.traces(), 2u);
  f(Tensor::from({1, 2}, {2}));
  EXPECT_EQ(f.traces(), 2u);
  EXPECT_EQ(calls, 2);
  f(ones({2}, i32));
  EXPECT_EQ(f.traces(), 3u);
}

TEST(Compile, GivesWhatEagerGives) {
  const auto f = [](const Tensor& x, const Tensor& w) {
    const Tensor h = tanh(matmul(x, w));
    return std::vector<Tensor>{softmax(h), sum(h * h, {0}), where(greater(h, 0.1), h, -h)};
  };
  const Tensor x = reshape(arange(12, f32), {4, 3}) * 0.1 - 0.5, w = reshape(arange(6, f32), {3, 2}) * 0.2 - 0.4;
  const std::vector<Tensor> eager = f(x, w);
  auto captured_f = compile(f);
  const std::vector<Tensor> captured = captured_f(x, w);
  ASSERT_EQ(captured.size(), eager.size());
  for (size_t i = 0; i < eager.size(); ++i) {
    EXPECT_EQ(captured[i].type(), eager[i].type());
    expect_near(captured[i], values(eager[i]), 1e-6f);
  }
}

TEST(Compile, WritesVariablesWhenTheCallEnds) {
  const Variable count(zeros({}), "count", false);
  auto step = compile([&] { count.assign(count + 1); });
  for (int i = 0; i < 5; ++i) step();
  EXPECT_EQ(count.read().item(), 5);
  EXPECT_EQ(step.traces(), 1u);
  count.assign(full({}, 100));
  step();
  EXPECT_EQ(count.read().item(), 101);
}

TEST(Compile, LaterReadsSeeWhatWasAssigned) {
  const Variable v(full({}, 1), "v", false);
  auto step = compile([&] {
    const Tensor before = v;
    v.assign(v * 2);
    v.assign(v + 10);
    return std::vector<Tensor>{before, v};
  });
  const std::vector<Tensor> seen = step();
  EXPECT_EQ(seen[0].item(), 1);
  EXPECT_EQ(seen[1].item(), 12);
  EXPECT_EQ(v.read().item(), 12);
}

TEST(Compile, ReadingAValueInsideIsAnErrorThatNamesTheLine) {
  std::string here;
  auto f = compile([&](const Tensor& x) {
    const Tensor y = mean(x);
    here = next_line();
    return y * y.item();
  });
  const std::string text = message_of([&] { f(ones({3})); });
  EXPECT_THAT(text, HasSubstr(here));
  EXPECT_THAT(text, HasSubstr("not known"));
  EXPECT_THAT(text, HasSubstr("where()")) << "it has to say what to do instead";
}

TEST(Compile, AFailedTraceLeavesNothingBehind) {
  const Variable v(full({}, 1), "v", false);
  bool bad = true;
  auto f = compile([&](const Tensor& x) {
    v.assign(v + 1);
    return bad ? reshape(x, {5}) : x;
  });
  EXPECT_NE(message_of([&] { f(ones({3})); }), "");
  EXPECT_EQ(v.read().item(), 1);
  EXPECT_THAT(values(ones({2}) + 1), ElementsAre(2, 2));  // eager mode is back
  bad = false;
  f(ones({3}));
  EXPECT_EQ(v.read().item(), 2);
}

TEST(Compile, BackwardInsideIsTraced) {
  const Variable w(Tensor::from({1, 2}, {2}), "w");
  auto step = compile([&](const Tensor& x) {
    w.zero_grad();
    const Tensor loss = sum(square(w * x));
    loss.backward();
    w.assign(w - 0.1 * w.grad());
    return loss;
  });
  // loss = sum(w^2 x^2), d/dw = 2 w x^2
  EXPECT_NEAR(step(Tensor::from({1, 2}, {2})).item(), 17, 1e-5);
  expect_near(w, {1 - 0.1f * 2, 2 - 0.1f * 16});
  EXPECT_NEAR(step(Tensor::from({1, 2}, {2})).item(), 0.64 + 0.64, 1e-5);
}

TEST(Compile, DrawsNewRandomNumbersInEachCall) {
  auto draw = compile([](const Tensor& x) { return x + random_uniform({8}); });
  manual_seed(3);
  const auto first = values(draw(zeros({8}))), second = values(draw(zeros({8})));
  EXPECT_EQ(draw.traces(), 1u);
  EXPECT_NE(first, second);
  manual_seed(3);
  EXPECT_EQ(values(draw(zeros({8}))), first);
  manual_seed(3);
  EXPECT_EQ(values(random_uniform({8})), first) << "eager and captured draws differ";
}

TEST(Compile, AConstantFromOutsideIsAllowedAVariablesValueIsNot) {
  const Variable w(ones({2}), "outer_weight");
  const Tensor constant = Tensor::from({1, 2}, {2}) * 3;
  auto good = compile([&](const Tensor& x) { return x + constant; });
  EXPECT_THAT(values(good(zeros({2}))), ElementsAre(3, 6));
  const Tensor stale = w * 2;
  auto bad = compile([&](const Tensor& x) { return x + stale; });
  EXPECT_THAT(message_of([&] { bad(zeros({2})); }), HasSubstr("outer_weight"));
}

TEST(Compile, CountsAndExplainsItsNodes) {
  auto f = compile([](const Tensor& x, const Tensor& w) { return relu(matmul(x, w)); });
  EXPECT_EQ(f.node_counts().first, 0u);
  f(ones({2, 3}), ones({3, 4}));
  EXPECT_GT(f.node_counts().first, 0u);
  EXPECT_EQ(f.node_counts().second, 0u);
  EXPECT_THAT(f.explain(), HasSubstr("matmul"));
  const std::vector<graph::Explanation> rows = f.explanations();
  ASSERT_FALSE(rows.empty());
  EXPECT_EQ(rows.front().device, default_device().name());
}

TEST(Compile, InsideAnotherIsPartOfIt) {
  auto inner = compile([](const Tensor& x) { return x * x; });
  auto outer = compile([&](const Tensor& x) { return inner(x) + 1; });
  EXPECT_THAT(values(outer(Tensor::from({3}, {1}))), ElementsAre(10));
  EXPECT_EQ(inner.traces(), 0u);
}

}  // namespace
}  // namespace backplane::tests
