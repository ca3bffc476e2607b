// SPDX-License-Identifier: Apache-2.0
// fuse_pointwise: which groups form, that limits hold, that no cycle comes about, and that the bits stay the same.
#include <gtest/gtest.h>

#include "backplane/graph/ops.h"
#include "backplane/host/registry.h"
#include "literals.h"
#include "passes/passes.h"

namespace backplane::graph {
namespace {

using test::count;
using test::difference;
using test::run;

const PassConfig kAllPasses;
const PassContext kNoDevice{kAllPasses, nullptr};
const Type kPlane{f32, {6, 8}}, kRow{f32, {8}};

Sym input(Graph& graph, const Type& type) { return graph.sym(graph.add_input(Input::Kind::placeholder, type, "x")); }

/// Runs the pass, checks the result, and compares bits on the reference card.
std::unique_ptr<Graph> fuse(const Graph& graph) {
  auto fused = passes::fuse_pointwise(graph, kNoDevice);
  if (fused == nullptr) return nullptr;
  verify_graph(*fused, "fuse_pointwise");
  for (NodeId id = 0; id < fused->size(); ++id) {
    const auto& program = fused->node(id).program;
    if (program == nullptr) continue;
    EXPECT_LE(program->num_inputs + program->outputs.size(), size_t{BP_PROGRAM_MAX_INPUTS});
    EXPECT_LE(program->outputs.size(), size_t{BP_PROGRAM_MAX_OUTPUTS});
    EXPECT_LE(program->instrs.size(), size_t{BP_PROGRAM_MAX_INSTRS});
  }
  test::Random random(7);
  const auto inputs = test::random_inputs(graph, random, true);
  const auto plain = run(graph, inputs, PassConfig::none()), together = run(*fused, inputs, PassConfig::none());
  for (size_t i = 0; i < plain.size(); ++i) EXPECT_EQ(difference(plain[i], together[i]), "") << "output " << i;
  return fused;
}

const ScalarProgram& only_program(const Graph& graph) {
  const ScalarProgram* found = nullptr;
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (graph.node(id).program == nullptr) continue;
    EXPECT_EQ(found, nullptr) << "more than one program";
    found = graph.node(id).program.get();
  }
  EXPECT_NE(found, nullptr);
  return *found;
}

TEST(FusePointwise, AChainBecomesOneProgramWithItsConstants) {
  Graph graph;
  const Sym x = input(graph, kPlane), b = input(graph, kRow);
  graph.set_outputs({graph.value(tanh((x * 2.0 + b) * 2.0))});
  const auto fused = fuse(graph);
  ASSERT_NE(fused, nullptr);
  EXPECT_EQ(fused->size(), 3u);
  const ScalarProgram& program = only_program(*fused);
  EXPECT_EQ(program.num_inputs, 2u);
  EXPECT_EQ(program.instrs.size(), 5u) << "the constant is there once";
}

TEST(FusePointwise, AValueUsedOutsideBecomesAnotherOutput) {
  Graph graph;
  const Sym x = input(graph, kPlane);
  const Sym e = exp(x), y = e + 1.0;
  graph.set_outputs({graph.value(matmul(e, transpose(y))), graph.value(y)});
  const auto fused = fuse(graph);
  ASSERT_NE(fused, nullptr);
  EXPECT_EQ(only_program(*fused).outputs.size(), 2u);
}

TEST(FusePointwise, DtypesMayChangeInside) {
  Graph graph;
  const Sym x = input(graph, kPlane), y = input(graph, kPlane);
  const Sym less = binary(op::lt, x, y);
  graph.set_outputs({graph.value(cast(where(less, x, y), f16)), graph.value(less), graph.value(cast(x, i32))});
  const auto fused = fuse(graph);
  ASSERT_NE(fused, nullptr);
  EXPECT_EQ(only_program(*fused).output_dtypes, (std::vector<DType>{boolean, f16}));
}

TEST(FusePointwise, ASmallerProducerIsNotComputedAgainForEveryRow) {
  Graph graph;
  const Sym x = input(graph, kPlane), b = input(graph, kRow);
  graph.set_outputs({graph.value(x + tanh(exp(b)))});
  const auto fused = fuse(graph);
  ASSERT_NE(fused, nullptr);
  const ScalarProgram& program = only_program(*fused);  // tanh(exp(b)) over the row
  EXPECT_EQ(program.num_inputs, 1u);
  EXPECT_EQ(program.instrs.size(), 2u);
  EXPECT_EQ(count(*fused, op::add), 1u);
}

TEST(FusePointwise, NoCycleThroughWhatIsNotFused) {
  //  e = exp(x) -> m = e e^T -> y = e + m: e and y must not be one program, m needs e and y needs m.
  Graph graph;
  const Sym x = input(graph, {f32, {6, 6}});
  const Sym e = exp(x * x), m = matmul(e, e);
  graph.set_outputs({graph.value(tanh(e + m))});
  const auto fused = fuse(graph);
  ASSERT_NE(fused, nullptr);
  EXPECT_EQ(count(*fused, op::pointwise), 2u);
}

TEST(FusePointwise, AMaskMovesToItsUser) {
  //  The comparison could be computed early; it waits for the matmul and costs no memory traffic of its own.
  Graph graph;
  const Sym x = input(graph, {f32, {6, 6}}), u = input(graph, {f32, {6, 6}});
  const Sym keep = binary(op::lt, u, scalar(graph, 0.5, f32));
  const Sym h = matmul(x, x);
  graph.set_outputs({graph.value(where(keep, tanh(h), h))});
  const auto fused = fuse(graph);
  ASSERT_NE(fused, nullptr);
  EXPECT_EQ(count(*fused, op::pointwise), 1u);
  EXPECT_EQ(count(*fused, op::lt), 0u);
}

TEST(FusePointwise, LongAndWideGroupsAreCutAtTheLimits) {
  Graph graph;
  std::vector<Sym> xs;
  for (int i = 0; i < 60; ++i) xs.push_back(input(graph, kRow));
  Sym sum = xs[0];
  for (int i = 1; i < 60; ++i) sum = sum + tanh(xs[i]) * static_cast<double>(i);
  Sym chain = sum;
  for (int i = 0; i < 300; ++i) chain = maximum(chain * 1.001, -chain);
  graph.set_outputs({graph.value(chain), graph.value(sum)});
  const auto fused = fuse(graph);
  ASSERT_NE(fused, nullptr);
  const size_t programs = count(*fused, op::pointwise);
  EXPECT_GE(programs, 10u + 2u);
  EXPECT_LE(programs, 30u);
  EXPECT_EQ(count(*fused, op::maximum), 0u);
}

TEST(FusePointwise, ManyOutputsAreSpreadOverPrograms) {
  Graph graph;
  const Sym x = input(graph, kRow);
  const Sym base = exp(x);
  std::vector<Value> outputs;
  for (int i = 0; i < 40; ++i) outputs.push_back(graph.value(base * static_cast<double>(i + 2)));
  graph.set_outputs(outputs);
  const auto fused = fuse(graph);
  ASSERT_NE(fused, nullptr);
  EXPECT_LE(count(*fused, op::pointwise), 7u);
  EXPECT_EQ(count(*fused, op::mul), 0u);
}

TEST(FusePointwise, ALoneOpStaysUnlessItHasAConstant) {
  Graph graph;
  const Sym x = input(graph, kRow), y = input(graph, kRow);
  graph.set_outputs({graph.value(x + y)});
  EXPECT_EQ(fuse(graph), nullptr);
  Graph scaled;
  const Sym z = input(scaled, kRow);
  scaled.set_outputs({scaled.value(z * 3.0)});
  const auto fused = fuse(scaled);
  ASSERT_NE(fused, nullptr);
  EXPECT_EQ(only_program(*fused).num_inputs, 1u);
  EXPECT_EQ(count(*fused, op::full), 0u);
}

TEST(FusePointwise, CopiesCostNothingInAGroup) {
  Graph graph;
  const Sym x = input(graph, kPlane);
  const Sym c = copy(transpose(x));
  graph.set_outputs({graph.value(exp(c)), graph.value(c)});
  const auto fused = fuse(graph);
  ASSERT_NE(fused, nullptr);
  const ScalarProgram& program = only_program(*fused);
  EXPECT_EQ(program.instrs.size(), 1u);
  EXPECT_EQ(program.outputs.size(), 2u);
  EXPECT_EQ(count(*fused, op::copy), 0u);
}

TEST(FusePointwise, AnOptimiserStepIsOneProgram) {
  Graph graph;
  const Sym w = input(graph, kPlane), g = input(graph, kPlane), m = input(graph, kPlane), v = input(graph, kPlane);
  const Sym rate = input(graph, {f32, {}});
  const Sym m2 = m * 0.9 + g * 0.1, v2 = v * 0.999 + g * g * 0.001;
  graph.set_outputs({graph.value(w - rate * m2 / (sqrt(v2) + 1e-8)), graph.value(m2), graph.value(v2)});
  const auto fused = fuse(graph);
  ASSERT_NE(fused, nullptr);
  EXPECT_EQ(count(*fused, op::pointwise), 1u);
  EXPECT_EQ(fused->size(), 6u);
}

TEST(FusePointwise, WhatTheDeviceDeclinesStaysAsItWas) {
  // A card that takes programs of one instruction.
  host::RegistryOptions options;
  options.directories = {PICKY_DIRECTORY};
  options.probe = false;
  host::Registry registry(options);
  const StreamPtr picky = Stream::of(registry.open("picky"));
  Graph graph;
  const Sym x = input(graph, kRow), y = input(graph, kRow);
  graph.set_outputs({graph.value(-(x * y)), graph.value(copy(copy(transpose(reshape(x, {2, 4})))))});
  const auto fused = passes::fuse_pointwise(graph, {kAllPasses, picky});
  ASSERT_NE(fused, nullptr) << "two copies are a program without instructions";
  EXPECT_EQ(count(*fused, op::mul), 1u);
  EXPECT_EQ(count(*fused, op::neg), 1u);
  EXPECT_EQ(count(*fused, op::copy), 0u);

  test::Random random(3);
  const auto inputs = test::random_inputs(graph, random, true);
  CompileOptions there;
  there.stream = picky;
  const auto plain = run(graph, inputs, PassConfig::none()), on_picky = evaluate(graph, inputs, there);
  for (size_t i = 0; i < plain.size(); ++i) EXPECT_EQ(difference(plain[i], on_picky[i]), "") << "output " << i;
}

TEST(ProgramOf, OneInstructionOverTheOwnOperands) {
  Graph graph;
  const Sym x = input(graph, kRow);
  const Sym y = where(binary(op::lt, x, x), x, x * x);
  const ScalarProgram select = program_of(graph, y.id), same = program_of(graph, copy(x).id);
  ASSERT_EQ(select.instrs.size(), 1u);
  EXPECT_EQ(select.num_inputs, 3u);
  EXPECT_EQ(select.instrs[0].code, BP_S_SELECT);
  EXPECT_EQ(select.instrs[0].c, 2u);
  EXPECT_EQ(select.outputs, std::vector<uint16_t>{3});
  EXPECT_TRUE(same.instrs.empty());
  EXPECT_EQ(same.outputs, std::vector<uint16_t>{0});
}

}  // namespace
}  // namespace backplane::graph
