// SPDX-License-Identifier: Apache-2.0
// The rewriting driver, prune, cse and verify: structure only, nothing is run.
#include "passes/rewrite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backplane/graph/ops.h"
#include "literals.h"
#include "passes/passes.h"

namespace backplane::graph {
namespace {

using test::count;

const PassConfig kAllPasses;
const PassContext kNoDevice{kAllPasses, nullptr};

Sym placeholder(Graph& graph, const char* name, const Type& type) {
  return graph.sym(graph.add_input(Input::Kind::placeholder, type, name));
}

TEST(Rewrite, KeepsInputsTheirOrderLinesAndOutputs) {
  Graph graph;
  graph.loc = {"a.cpp", 7};
  const Sym unused = placeholder(graph, "unused", {f32, {4}});
  const Sym x = placeholder(graph, "x", {f32, {2, 4}});
  graph.loc = {"b.cpp", 9};
  const Sym y = x + unused;
  exp(y);  // dead
  graph.set_outputs({graph.value(y), graph.value(x), graph.value(y)});
  const auto copy = passes::rewrite(graph, nullptr);
  verify_graph(*copy, "rewrite");
  ASSERT_EQ(copy->inputs().size(), 2u);
  EXPECT_EQ(copy->inputs()[0].name, "unused");
  EXPECT_EQ(copy->inputs()[1].name, "x");
  EXPECT_EQ(copy->size(), 3u);
  ASSERT_EQ(copy->outputs().size(), 3u);
  EXPECT_EQ(copy->outputs()[0], copy->outputs()[2]);
  EXPECT_EQ(copy->outputs()[1].node, copy->inputs()[1].node);
  EXPECT_EQ(copy->node(copy->outputs()[0].node).loc.to_string(), "b.cpp:9");
  EXPECT_EQ(copy->node(copy->inputs()[0].node).loc.to_string(), "a.cpp:7");
}

TEST(Prune, DropsWhatIsDeadAndKeepsUnusedInputs) {
  Graph graph;
  const Sym a = placeholder(graph, "a", {f32, {3}});
  const Sym b = placeholder(graph, "b", {f32, {3}});
  exp(exp(b));
  graph.set_outputs({graph.value(-a)});
  const auto pruned = passes::prune(graph, kNoDevice);
  ASSERT_NE(pruned, nullptr);
  EXPECT_EQ(pruned->size(), 3u);
  EXPECT_EQ(pruned->inputs().size(), 2u);
  EXPECT_EQ(passes::prune(*pruned, kNoDevice), nullptr) << "nothing is left to prune";
}

TEST(Cse, MergesEqualWorkInEitherOrderAndEqualConstants) {
  Graph graph;
  const Sym a = placeholder(graph, "a", {f32, {3}});
  const Sym b = placeholder(graph, "b", {f32, {3}});
  const std::vector<int32_t> table = {1, 2, 3};
  const Sym left = exp(a * b) + cast(constant_i32(graph, {3}, table), f32);
  const Sym right = exp(b * a) + cast(constant_i32(graph, {3}, table), f32);
  const Sym minus = a - b, other = b - a;  // not commutative
  graph.set_outputs({graph.value(left), graph.value(right), graph.value(minus), graph.value(other)});
  const auto merged = passes::cse(graph, kNoDevice);
  verify_graph(*merged, "cse");
  EXPECT_EQ(count(*merged, op::mul), 1u);
  EXPECT_EQ(count(*merged, op::exp), 1u);
  EXPECT_EQ(count(*merged, op::constant), 1u);
  EXPECT_EQ(count(*merged, op::sub), 2u);
  EXPECT_EQ(merged->outputs()[0], merged->outputs()[1]);
}

TEST(Cse, NeverMergesInputs) {
  Graph graph;
  const Sym a = placeholder(graph, "a", {f32, {3}});
  const Sym b = placeholder(graph, "a", {f32, {3}});
  graph.set_outputs({graph.value(-a), graph.value(-b)});
  const auto merged = passes::cse(graph, kNoDevice);
  EXPECT_EQ(merged->inputs().size(), 2u);
  EXPECT_EQ(count(*merged, op::neg), 2u);
}

TEST(Verify, NamesThePassAndTheNodeThatIsWrong) {
  Graph graph;
  graph.loc = {"train.cpp", 12};
  const Sym a = placeholder(graph, "a", {f32, {3}});
  const Value in = graph.value(a);
  const Type wrong{f32, {4}};
  const Attrs none(op::exp.name, op::exp.attrs, {});
  const NodeId id = graph.add(op::exp, none, std::span(&in, 1), graph.loc, std::span(&wrong, 1));
  graph.set_outputs({{id, 0}});
  try {
    verify_graph(graph, "cse");
    FAIL() << "a wrong type was accepted";
  } catch (const std::exception& error) {
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("internal:"), testing::HasSubstr("after pass 'cse'"),
                                             testing::HasSubstr("f32[4]"), testing::HasSubstr("train.cpp:12")));
  }
}

TEST(Verify, RefusesAnOutputThatDoesNotExist) {
  Graph graph;
  placeholder(graph, "a", {f32, {3}});
  graph.set_outputs({{5, 0}});
  EXPECT_ANY_THROW(verify_graph(graph, "prune"));
}

TEST(Verify, RefusesAProgramThatReadsALaterValue) {
  Graph graph;
  const Sym a = placeholder(graph, "a", {f32, {3}});
  const Value in = graph.value(a);
  ScalarProgram program;
  program.num_inputs = 1;
  program.instrs.push_back({});
  program.instrs[0].code = BP_S_NEG;
  program.instrs[0].dtype = BP_F32;
  program.instrs[0].a = 1;  // itself
  program.outputs = {1};
  program.output_dtypes = {f32};
  const Type type{f32, {3}};
  const NodeId id = graph.add(op::pointwise, Attrs(op::pointwise.name, op::pointwise.attrs, {}), std::span(&in, 1), {},
                              std::span(&type, 1), std::make_shared<ScalarProgram>(program));
  graph.set_outputs({{id, 0}});
  EXPECT_ANY_THROW(verify_graph(graph, "fuse_pointwise"));
}

}  // namespace
}  // namespace backplane::graph
