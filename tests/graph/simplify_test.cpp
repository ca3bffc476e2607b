// SPDX-License-Identifier: Apache-2.0
// Every rule of simplify tests itself: on each of its examples it has to fire, and both sides have to agree on random
// operands with all the special values, within the distance the rule states (the same bits where it states none).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backplane/graph/ops.h"
#include "literals.h"
#include "passes/passes.h"
#include "passes/simplify_rules.h"

namespace backplane::graph {
namespace {

using passes::SimplifyRule;
using test::difference;
using test::run;

const PassConfig kAllPasses;
const PassContext kNoDevice{kAllPasses, nullptr};

std::vector<const SimplifyRule*> all_rules() {
  std::vector<const SimplifyRule*> rules;
  for (const auto table : {passes::arithmetic_rules(), passes::view_rules()}) {
    for (const SimplifyRule& rule : table) rules.push_back(&rule);
  }
  return rules;
}

std::vector<Sym> placeholders(Graph& graph, const std::vector<Type>& types) {
  std::vector<Sym> syms;
  for (const Type& type : types) syms.push_back(graph.sym(graph.add_input(Input::Kind::placeholder, type, "x")));
  return syms;
}

class SimplifyRuleTest : public testing::TestWithParam<const SimplifyRule*> {};

TEST_P(SimplifyRuleTest, FiresAndIsTrue) {
  const SimplifyRule& rule = *GetParam();
  ASSERT_FALSE(rule.examples.empty());
  test::Random random(42);
  for (const passes::Example& example : rule.examples) {
    Graph graph;
    const Sym root = example.build(placeholders(graph, example.inputs));
    const OpDef* op = graph.node(root.id).op;
    EXPECT_THAT(rule.roots, testing::Contains(op)) << "example of another op: " << op->name;
    const SimplifyRule* only[] = {&rule};
    const auto simple = passes::apply_first(graph, graph.value(root), only);
    ASSERT_TRUE(simple.has_value()) << "did not fire on " << op->name;
    ASSERT_EQ(graph.type(*simple), root.type());
    // Both sides in one run, so that both see the same operands.
    graph.set_outputs({graph.value(root), *simple});
    for (int round = 0; round < 8; ++round) {
      const auto results = run(graph, test::random_inputs(graph, random, true), PassConfig::none());
      EXPECT_EQ(difference(results[0], results[1], rule.ulps), "") << "rule '" << rule.name << "', round " << round;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Table, SimplifyRuleTest, testing::ValuesIn(all_rules()), [](const auto& info) {
  std::string name = std::to_string(info.index) + "_";
  for (char c : info.param->name) name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
});

// What looks like a law and is none ------------------------------------------------------------------------------------

struct NoLaw {
  const char* name;
  std::vector<Type> inputs;
  Sym (*build)(std::span<const Sym> x);
};

using Xs = std::span<const Sym>;
using Ints = std::vector<int64_t>;
Sym num(Sym like, double value) { return scalar(*like.builder, value, like.dtype()); }
const Type kF32{f32, {3, 5}}, kI32{i32, {3, 5}}, kI64{i64, {3, 5}};

const NoLaw kNoLaws[] = {
    {"x + 0 where x may be -0", {kF32}, [](Xs x) { return x[0] + 0.0; }},
    {"x - -0", {kF32}, [](Xs x) { return x[0] - num(x[0], -0.0); }},
    {"x * 0 with NaN and infinity", {kF32}, [](Xs x) { return x[0] * 0.0; }},
    {"x - x with infinity", {kF32}, [](Xs x) { return x[0] - x[0]; }},
    {"x / 3", {kF32}, [](Xs x) { return x[0] / 3.0; }},
    {"x ^ 0.5", {kF32}, [](Xs x) { return binary(op::pow, x[0], num(x[0], 0.5)); }},
    {"exp(log(x))", {kF32}, [](Xs x) { return exp(log(x[0])); }},
    {"!(x < y) with NaN", {kF32, kF32}, [](Xs x) { return unary(op::logical_not, binary(op::lt, x[0], x[1])); }},
    {"a cast through i32", {kF32}, [](Xs x) { return cast(cast(x[0], i32), f32); }},
    {"a cast through f16", {kF32}, [](Xs x) { return cast(cast(x[0], f16), f32); }},
    {"a cast through i32 of i64", {kI64}, [](Xs x) { return cast(cast(x[0], i32), i64); }},
    {"a cast through f32 of i32", {kI32}, [](Xs x) { return cast(cast(x[0], f32), i32); }},
    {"where of two values", {{boolean, {3, 5}}, kF32, kF32}, [](Xs x) { return where(x[0], x[1], x[2]); }},
    {"sum over one element, -0", {{f32, {3, 1}}}, [](Xs x) { return apply1(op::reduce_sum, {{"axes", Ints{1}}}, {x[0]}); }},
    {"a transpose", {kF32}, [](Xs x) { return transpose(x[0]); }},
    {"flip of what is longer", {kF32}, [](Xs x) { return apply1(op::flip, {{"axes", Ints{0}}}, {x[0]}); }},
};

TEST(Simplify, LeavesAloneWhatIsNoLaw) {
  for (const NoLaw& no_law : kNoLaws) {
    Graph graph;
    graph.set_outputs({graph.value(no_law.build(placeholders(graph, no_law.inputs)))});
    EXPECT_EQ(passes::simplify(graph, kNoDevice), nullptr) << no_law.name;
  }
}

TEST(Simplify, OneSweepReachesTheEnd) {
  Graph graph;
  Sym x = placeholders(graph, {kF32})[0];
  const Sym start = x;
  for (int i = 0; i < 200; ++i) x = transpose(transpose(-(-(x * 1.0)))) / 1.0 - 0.0;
  graph.set_outputs({graph.value(x)});
  const auto simple = passes::simplify(graph, kNoDevice);
  ASSERT_NE(simple, nullptr);
  EXPECT_EQ(simple->size(), 1u);
  EXPECT_EQ(simple->outputs()[0].node, start.id);
}

TEST(Simplify, KeepsTheUsersLine) {
  Graph graph;
  const Sym x = placeholders(graph, {kF32, kF32})[0];
  graph.loc = {"model.cpp", 31};
  graph.set_outputs({graph.value(x - -exp(x))});
  const auto simple = passes::simplify(graph, kNoDevice);
  ASSERT_NE(simple, nullptr);
  const Node& sum = simple->node(simple->outputs()[0].node);
  EXPECT_EQ(sum.op, &op::add);
  EXPECT_EQ(sum.loc.to_string(), "model.cpp:31");
}

}  // namespace
}  // namespace backplane::graph
