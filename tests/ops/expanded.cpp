// SPDX-License-Identifier: Apache-2.0
#include "ops/expanded.h"

#include <cmath>

#include "backplane/graph/ops.h"
#include "ops/devices.h"
#include "support/tolerance.h"

namespace backplane::test {

using namespace backplane::graph;

namespace {

/// Passes everything on to a graph, and the decomposition instead where there is one.
class Expander final : public Builder {
 public:
  explicit Expander(Graph& target) : target_(target) {}
  std::vector<Sym> apply(const OpDef& op, Attrs attrs, std::span<const Sym> inputs) override {
    if (op.decompose != nullptr) return op.decompose({*this, attrs, inputs});
    std::vector<Sym> in, out;
    for (Sym s : inputs) in.push_back({&target_, s.id, s.out});
    for (Sym s : target_.apply(op, std::move(attrs), in)) out.push_back({this, s.id, s.out});
    return out;
  }
  Sym constant(const Type& type, std::vector<std::byte> bytes) override {
    const Sym s = target_.constant(type, std::move(bytes));
    return {this, s.id, s.out};
  }
  const Type& type_of(Sym s) const override { return target_.type_of({&target_, s.id, s.out}); }

 private:
  Graph& target_;
};

OpClass class_of(const OpDef& op) {
  switch (op.scalar_code) {
    case BP_S_ADD:
    case BP_S_SUB:
    case BP_S_MUL:
    case BP_S_CAST:
      return OpClass::arithmetic;
    case BP_S_DIV:
    case BP_S_REM:
    case BP_S_SQRT:
    case BP_S_RSQRT:
      return OpClass::division;
    case BP_S_EXP:
    case BP_S_LOG:
    case BP_S_SIN:
    case BP_S_COS:
    case BP_S_TANH:
    case BP_S_ERF:
    case BP_S_EXPM1:
    case BP_S_LOG1P:
    case BP_S_POW:
      return OpClass::transcendental;
    default:
      return OpClass::exact;
  }
}

/// Terms that one element of the result adds (or multiplies) up; 0 where nothing is added.
int64_t terms(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const std::vector<Type> in = graph.input_types(id);
  const int64_t out = graph.types_of(id)[0].elements();
  if (out == 0) return 0;
  if (node.op == &op::batch_matmul) return 2 * in[0].shape[in[0].shape.rank() - 1];
  if (node.op == &op::scatter_add_rows) return in[1].elements();
  if (node.op == &op::reduce_sum || node.op == &op::reduce_prod) return in[0].elements() / out;
  return 0;
}

/// Products add the errors of their factors; all else takes on the worst.
bool multiplies(const OpDef& op) {
  return op.scalar_code == BP_S_MUL || op.scalar_code == BP_S_DIV || op.scalar_code == BP_S_POW ||
         &op == &op::batch_matmul;
}

std::vector<double> error_model(const Graph& graph) {
  std::vector<double> errors(graph.size(), 0);
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    double worst = 0, sum = 0;
    for (const Value v : graph.inputs_of(id)) {
      worst = std::max(worst, errors[v.node]);
      sum += errors[v.node];
    }
    const DType dtype = graph.types_of(id)[0].dtype;
    const int64_t length = terms(graph, id);
    const double step =
        length > 0 ? step_error(dtype, OpClass::accumulation, length) : step_error(dtype, class_of(*node.op));
    if (is_float(dtype)) errors[id] = (multiplies(*node.op) ? sum : worst) + step;
  }
  return errors;
}

}  // namespace

Expanded expand_fully(const Graph& graph) {
  Expanded result{std::make_unique<Graph>(), graph.outputs().size(), {}};
  Graph& target = *result.graph;
  Expander expander(target);
  std::vector<std::vector<Value>> map(graph.size());
  size_t next_input = 0;
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (next_input < graph.inputs().size() && graph.inputs()[next_input].node == id) {
      const Input& input = graph.inputs()[next_input++];
      map[id] = {target.add_input(input.kind, graph.types_of(id)[0], input.name, input.key)};
    } else if (node.literal != nullptr) {
      map[id] = {target.add_constant(node.literal)};
    } else {
      std::vector<Sym> in;
      for (const Value v : graph.inputs_of(id))
        in.push_back({&expander, map[v.node][v.out].node, map[v.node][v.out].out});
      for (const Sym s : expander.apply(*node.op, node.attrs, in)) map[id].push_back({s.id, s.out});
    }
  }
  const std::vector<double> errors = error_model(target);
  std::vector<Value> outputs;
  for (const Value v : graph.outputs()) {
    outputs.push_back(map[v.node][v.out]);
    result.errors.push_back(errors[outputs.back().node]);
  }
  for (NodeId id = 0; id < target.size(); ++id) {
    if (is_float(target.types_of(id)[0].dtype)) outputs.push_back({id, 0});
  }
  target.set_outputs(std::move(outputs));
  return result;
}

Reckoning reckon(const Graph& graph, std::span<const Literal> inputs) {
  const Expanded expanded = expand_fully(graph);
  std::vector<Literal> values = Evaluator(*expanded.graph, oracle())(inputs);
  // Values beyond this are stand-ins for infinity in masks, which would hide every error.
  constexpr double kNoValue = 1e6;
  double magnitude = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    for (const double x : is_float(values[i].type.dtype) ? to_doubles(values[i]) : std::vector<double>{}) {
      if (std::isfinite(x) && std::fabs(x) < kNoValue) magnitude = std::max(magnitude, std::fabs(x));
    }
  }
  Reckoning result;
  for (size_t i = 0; i < expanded.outputs; ++i) {
    result.tolerances.push_back(tolerance(expanded.errors[i], magnitude, values[i].type.dtype));
    result.values.push_back(std::move(values[i]));
  }
  return result;
}

}  // namespace backplane::test
