// SPDX-License-Identifier: Apache-2.0
// fold_constants: what becomes a constant, what stays, and that the numbers are right.
#include <gtest/gtest.h>

#include <cstring>

#include "backplane/graph/ops.h"
#include "literals.h"
#include "passes/passes.h"

namespace backplane::graph {
namespace {

using test::count;

const PassConfig kAllPasses;
const PassContext kNoDevice{kAllPasses, nullptr};

Sym placeholder(Graph& graph, const Type& type) {
  return graph.sym(graph.add_input(Input::Kind::placeholder, type, "x"));
}

Sym values(Graph& graph, const Shape& shape) {
  std::vector<int32_t> table(static_cast<size_t>(shape.elements()));
  for (size_t i = 0; i < table.size(); ++i) table[i] = static_cast<int32_t>(i % 7);
  return constant_i32(graph, shape, table);
}

TEST(FoldConstants, ComputesWhatDependsOnConstantsOnly) {
  Graph graph;
  const Sym x = placeholder(graph, {i32, {2, 3}});
  const Sym c = values(graph, {2, 3});
  graph.set_outputs({graph.value(x + (c * c + c)), graph.value(transpose(c))});
  const auto folded = passes::fold_constants(graph, kNoDevice);
  ASSERT_NE(folded, nullptr);
  verify_graph(*folded, "fold_constants");
  EXPECT_EQ(folded->size(), 4u) << "x, two constants, one add";
  const Literal& sum = *folded->node(folded->inputs_of(folded->outputs()[0].node)[1].node).literal;
  std::vector<int32_t> got(6);
  std::memcpy(got.data(), sum.bytes.data(), sum.bytes.size());
  EXPECT_EQ(got, (std::vector<int32_t>{0, 2, 6, 12, 20, 30}));
}

TEST(FoldConstants, ASplatStaysASplatWhateverItsSize) {
  Graph graph;
  const Sym x = placeholder(graph, {f32, {4096, 4096}});
  const Sym big = full(graph, 3, f32, {4096, 4096});
  graph.set_outputs({graph.value(x * exp(big - full(graph, 3, f32, {4096})))});
  const auto folded = passes::fold_constants(graph, kNoDevice);
  ASSERT_NE(folded, nullptr);
  EXPECT_EQ(count(*folded, op::constant), 0u);
  EXPECT_EQ(count(*folded, op::full), 1u);
  EXPECT_EQ(count(*folded, op::exp), 0u);
  const Value splat = folded->inputs_of(folded->outputs()[0].node)[1];
  EXPECT_EQ(folded->node(splat.node).attrs.f64("value"), 1.0);
  EXPECT_EQ(folded->type(splat).shape, (Shape{4096, 4096}));
}

TEST(FoldConstants, EqualElementsBecomeAFull) {
  Graph graph;
  const Sym c = values(graph, {64});
  graph.set_outputs({graph.value(placeholder(graph, {i32, {64}}) + (c - c))});
  const auto folded = passes::fold_constants(graph, kNoDevice);
  ASSERT_NE(folded, nullptr);
  EXPECT_EQ(count(*folded, op::full), 1u);
  EXPECT_EQ(count(*folded, op::constant), 0u);
}

TEST(FoldConstants, DoesNotTradeMemoryForArithmetic) {
  for (const int64_t n : {400, 1000}) {  // 0.6 and 4 MB from a row of the same numbers
    Graph graph;
    const Sym c = values(graph, {1, n});
    const Sym x = placeholder(graph, {i32, {n, n}});
    graph.set_outputs({graph.value(x + copy(expand(c, {n, n})))});
    EXPECT_EQ(passes::fold_constants(graph, kNoDevice), nullptr) << n;
  }
}

TEST(FoldConstants, LeavesAGraphWithoutConstantWorkAlone) {
  Graph graph;
  graph.set_outputs({graph.value(placeholder(graph, {f32, {3}}) * 2.0)});
  EXPECT_EQ(passes::fold_constants(graph, kNoDevice), nullptr);
}

}  // namespace
}  // namespace backplane::graph
