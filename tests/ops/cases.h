// SPDX-License-Identifier: Apache-2.0
// What the registry gives the tests to do: every op, with every sample, in every dtype that the op takes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backplane/graph/graph.h"
#include "ops/values.h"

namespace backplane::test {

struct Case {
  const graph::OpDef* op = nullptr;
  size_t sample = 0;
  DType dtype = f32;  ///< what the sample's f32 operands are here
  std::vector<graph::SampleInput> inputs;
  graph::Attrs attrs;
  std::vector<Type> out;
  bool gradcheck = true;

  std::string name() const;  ///< "softmax, sample 2, f16: (f16[2,3]) {axis=1}"
  std::vector<Type> types() const;
  std::vector<Literal> values() const;
  /// Has a float operand and a float result between which gradients flow.
  bool differentiable() const;
};

/// Ops that are applied by users or definitions; not input, constant and the like, whose meaning lies in the graph.
bool has_samples_by_rule(const graph::OpDef& op);

/// `dtypes` other than f32 replace the f32 operands of the samples, as many of them as inference accepts. A sample
/// without f32 operands is there once. Filtered by BACKPLANE_TEST_OP (exact name) when that is set;
/// BACKPLANE_TEST_ONE_CASE_IN=n takes the first case of each op and every n-th of the others.
std::vector<Case> all_cases(std::span<const DType> dtypes);

/// A graph with the case's operands as inputs.
struct CaseGraph {
  std::unique_ptr<graph::Graph> graph;
  std::vector<graph::Sym> in, out;
  std::vector<Literal> values;  ///< one per graph input
};
CaseGraph apply_case(const Case& c);
/// The same values, but the op sees every operand backwards in memory and with its axes in reverse order, as views.
CaseGraph apply_case_strided(const Case& c);
/// Outputs are the gradients for random dy, which are further inputs; operands without a gradient are left out.
CaseGraph vjp_case(const Case& c);

}  // namespace backplane::test
