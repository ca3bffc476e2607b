// SPDX-License-Identifier: Apache-2.0
// The list of passes as a whole: what it prints, and how many nodes it leaves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backplane/graph/ops.h"
#include "backplane/host/registry.h"
#include "literals.h"
#include "passes/passes.h"

namespace backplane::graph {
namespace {

using test::count;

class Captured {
 public:
  Captured() : before_(set_pass_sink([this](std::string_view text) { lines.emplace_back(text); })) {}
  ~Captured() { set_pass_sink(before_); }
  std::vector<std::string> lines;

 private:
  PassSink before_;
};

/// relu(x w + b), its mean of squares twice, with things to fold and to simplify.
void build(Graph& graph) {
  const Sym x = graph.sym(graph.add_input(Input::Kind::placeholder, {f32, {8, 16}}, "x"));
  const Sym w = graph.sym(graph.add_input(Input::Kind::variable, {f32, {16, 4}}, "w"));
  const Sym b = graph.sym(graph.add_input(Input::Kind::variable, {f32, {4}}, "b"));
  const Sym two = scalar(graph, 1, f32) + scalar(graph, 1, f32);
  const Sym h = maximum(matmul(x, w) * 1.0 + b, scalar(graph, 0, f32));
  const std::vector<int64_t> axes = {0, 1};
  const Sym loss = reduce_sum(h * h / two, axes);
  const Sym again = reduce_sum(h * h / two, axes);
  graph.set_outputs({graph.value(loss + again)});
}

PassContext on_reference(const PassConfig& config) {
  return {config, Stream::of(host::Registry::instance().reference())};
}

TEST(Pipeline, DoesWhatEachPassIsFor) {
  Graph graph;
  build(graph);
  const PassConfig config = PassConfig::parse("-fuse_epilogue");
  const auto plan = run_pipeline(graph, on_reference(config), {});
  verify_graph(*plan, "all");
  EXPECT_EQ(count(*plan, op::reduce_sum), 1u) << to_text(*plan);
  EXPECT_EQ(count(*plan, op::pointwise), 1u) << to_text(*plan);  // bias, relu, square, halving
  EXPECT_EQ(count(*plan, op::add), 1u) << to_text(*plan);        // loss + loss, without a constant
  EXPECT_EQ(count(*plan, op::mul), 0u) << to_text(*plan);
}

TEST(Pipeline, EpiloguesTakeElementwiseWorkAlong) {
  Graph graph;
  build(graph);
  const PassConfig all;
  const auto plan = run_pipeline(graph, on_reference(all), {});
  verify_graph(*plan, "all");
  EXPECT_EQ(plan->size(), 5u) << to_text(*plan);  // three inputs, a product, a sum
}

TEST(Pipeline, PrintsSummariesAndTextOnRequest) {
  Graph graph;
  build(graph);
  const PassConfig all;
  Captured captured;
  run_pipeline(graph, on_reference(all), {});
  EXPECT_TRUE(captured.lines.empty());
  run_pipeline(graph, on_reference(all), DumpConfig::parse("pass:simplify"));
  EXPECT_THAT(captured.lines, testing::Contains(testing::MatchesRegex("cse: [0-9]+ -> [0-9]+ nodes, [0-9.]+ ms")));
  EXPECT_THAT(captured.lines, testing::Contains(testing::StartsWith("# after simplify\n")));
  EXPECT_THAT(captured.lines, testing::Not(testing::Contains(testing::StartsWith("# after cse"))));
}

TEST(Pipeline, AGraphThatNothingHelpsIsCopied) {
  Graph graph;
  const Value x = graph.add_input(Input::Kind::placeholder, {f32, {3}}, "x");
  graph.set_outputs({x});
  const PassConfig all;
  const auto same = run_pipeline(graph, on_reference(all), {});
  ASSERT_NE(same, nullptr);
  EXPECT_EQ(same->size(), 1u);
}

}  // namespace
}  // namespace backplane::graph
