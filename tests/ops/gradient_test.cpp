// SPDX-License-Identifier: Apache-2.0
// Gradients against central differences in f64 on the oracle, first and second order, and that a VJP reads no more than
// its op declares to save.

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "backplane/graph/autodiff.h"
#include "backplane/graph/ops.h"
#include "ops/cases.h"
#include "ops/devices.h"

namespace backplane::test {

using namespace backplane::graph;

namespace {

/// Operands, the scalar sum_i <r_i, y_i> over the f64 outputs with fixed random r_i, and its gradient.
struct Objective {
  CaseGraph g;
  Sym value;
  std::vector<Sym> xs, dxs;
};

Sym random_constant(Graph& graph, const Type& type, uint64_t seed) {
  return graph.constant(type, random_literal({type, -1, 1}, seed).bytes);
}

/// sum_i <r_i, values_i>, nothing where no value is f64 or has elements.
Sym project(Graph& graph, std::span<const Sym> values, uint64_t seed) {
  Sym sum;
  for (size_t i = 0; i < values.size(); ++i) {
    if (!values[i] || values[i].dtype() != f64) continue;
    const Sym term = apply1(op::sum, {}, {values[i] * random_constant(graph, values[i].type(), seed + i)});
    sum = sum ? sum + term : term;
  }
  return sum;
}

void differentiate(Objective& o) {
  const auto tape = tape_of(*o.g.graph, static_cast<NodeId>(o.g.graph->size()));
  o.dxs = gradients(*o.g.graph, tape, std::span(&o.value, 1), o.xs, {}, true);
}

Objective first_order(const Case& c) {
  Objective o{apply_case(c), {}, {}, {}};
  for (const Sym& s : o.g.in) {
    if (s.dtype() == f64) o.xs.push_back(s);
  }
  o.value = project(*o.g.graph, o.g.out, 11);
  if (o.value) differentiate(o);
  return o;
}

/// The same for the objective <r, gradient>; without a value where the gradient is constant.
Objective second_order(const Case& c) {
  Objective o = first_order(c);
  if (!o.value) return o;
  o.value = project(*o.g.graph, o.dxs, 23);
  if (o.value) differentiate(o);
  return o;
}

/// Largest difference between o's gradient and central differences of o's value, relative to the largest gradient.
/// Differences with step h err by h^2 f''' / 6 + u |f| / h: about 1e-10 for h = 1e-5 and values around 1.
std::string check(const Objective& o) {
  constexpr double h = 1e-5, allowed = 2e-6;
  Graph& graph = *o.g.graph;
  std::vector<Value> outputs = {graph.value(o.value)};
  for (const Sym& dx : o.dxs) outputs.push_back(dx ? graph.value(dx) : graph.value(o.value));
  graph.set_outputs(outputs);
  const std::vector<Literal> analytic = Evaluator(graph, oracle())(o.g.values);
  graph.set_outputs({graph.value(o.value)});
  const Evaluator value(graph, oracle());

  std::vector<Literal> inputs = o.g.values;
  size_t next = 0;
  for (size_t i = 0; i < o.g.in.size(); ++i) {
    if (o.g.in[i].dtype() != f64) continue;
    const size_t which = next++;
    std::vector<double> x = to_doubles(o.g.values[i]);
    const std::vector<double> dx = o.dxs[which] ? to_doubles(analytic[1 + which]) : std::vector<double>(x.size(), 0.0);
    for (size_t k = 0; k < x.size(); ++k) {
      const double at = x[k];
      const auto f = [&](double to) {
        x[k] = to;
        inputs[i] = from_doubles(o.g.values[i].type, x);
        return to_doubles(value(inputs)[0])[0];
      };
      const double high = f(at + h), low = f(at - h), numeric = (high - low) / (2 * h);
      x[k] = at;
      const double scale = 1 + std::fabs(numeric) + std::fabs(high);
      if (!(std::fabs(numeric - dx[k]) <= allowed * scale)) {
        return "operand " + std::to_string(i) + ", element " + std::to_string(k) + ": the gradient is " +
               std::to_string(dx[k]) + ", differences give " + std::to_string(numeric);
      }
    }
    inputs[i] = o.g.values[i];
  }
  return {};
}

constexpr DType kF64[] = {f64};

TEST(OpGradients, FirstOrderEqualsCentralDifferences) {
  size_t cases = 0;
  for (const Case& c : all_cases(kF64)) {
    if (!c.gradcheck || !c.differentiable()) continue;
    SCOPED_TRACE(c.name());
    const Objective o = first_order(c);
    if (!o.value || o.xs.empty()) continue;
    EXPECT_EQ(check(o), "") << c.name();
    ++cases;
  }
  std::printf("[ ops      ] first order: %zu cases\n", cases);
  EXPECT_GT(cases, 0u);
}

TEST(OpGradients, SecondOrderEqualsCentralDifferences) {
  size_t cases = 0;
  for (const Case& c : all_cases(kF64)) {
    if (!c.gradcheck || !c.op->smooth || !c.differentiable()) continue;
    SCOPED_TRACE(c.name());
    const Objective o = second_order(c);
    if (!o.value || o.xs.empty()) continue;
    EXPECT_EQ(check(o), "") << c.name();
    ++cases;
  }
  std::printf("[ ops      ] second order: %zu cases\n", cases);
  EXPECT_GT(cases, 0u);
}

/// The gradient built from given values: operands, results and dy are all inputs of the graph.
struct Backward {
  Graph graph;
  std::vector<Literal> values;
  std::vector<char> is_in, is_out;  // per graph input
  size_t outputs = 0;
};
void build_backward(const Case& c, std::span<const Literal> results, Backward& b, size_t only_x) {
  std::vector<Sym> in, out, dys, xs;
  const auto add = [&](const Literal& value, bool of_in, bool of_out) {
    b.values.push_back(value);
    b.is_in.push_back(of_in);
    b.is_out.push_back(of_out);
    return b.graph.sym(b.graph.add_input(Input::Kind::placeholder, value.type, "v" + std::to_string(b.values.size())));
  };
  for (const Literal& value : c.values()) in.push_back(add(value, true, false));
  for (const Literal& value : results) out.push_back(add(value, false, true));
  std::vector<Sym> ys;
  for (const Sym& y : out) {
    if (!is_float(y.dtype())) continue;
    ys.push_back(y);
    const Type type = y.type();
    dys.push_back(add(random_literal({type, -1, 1}, 5 + dys.size()), false, false));
  }
  for (size_t i = 0; i < in.size(); ++i) {
    if (is_float(in[i].dtype()) && (only_x == SIZE_MAX || only_x == i)) xs.push_back(in[i]);
  }
  const TapeEntry entry{c.op, &c.attrs, in, out, {}};
  std::vector<Value> outputs;
  for (const Sym& dx : gradients(b.graph, std::span(&entry, 1), ys, xs, dys, true)) {
    if (dx) outputs.push_back(b.graph.value(dx));
  }
  b.outputs = outputs.size();
  b.graph.set_outputs(std::move(outputs));
}

TEST(OpGradients, VjpReadsOnlyWhatItDeclaresToSave) {
  size_t cases = 0;
  constexpr DType dtypes[] = {f32};
  for (const Case& c : all_cases(dtypes)) {
    if (!c.differentiable()) continue;
    SCOPED_TRACE(c.name());
    const CaseGraph forward = apply_case(c);
    Backward b;
    build_backward(c, Evaluator(*forward.graph, oracle())(forward.values), b, SIZE_MAX);
    if (b.outputs == 0) continue;
    const bool in_saved = c.op->saves == Saves::inputs || c.op->saves == Saves::inputs_and_outputs;
    const bool out_saved = c.op->saves == Saves::outputs || c.op->saves == Saves::inputs_and_outputs;
    std::vector<Literal> poisoned = b.values;
    for (size_t i = 0; i < poisoned.size(); ++i) {
      if ((b.is_in[i] != 0 && !in_saved) || (b.is_out[i] != 0 && !out_saved)) poisoned[i] = poison(poisoned[i].type);
    }
    const Evaluator run(b.graph, oracle());
    const std::vector<Literal> want = run(b.values), got = run(poisoned);
    for (size_t i = 0; i < want.size(); ++i)
      EXPECT_EQ(difference(want[i], got[i], 0), "") << c.name() << ", gradient " << i;
    ++cases;
  }
  std::printf("[ ops      ] saved values: %zu cases\n", cases);
  EXPECT_GT(cases, 0u);
}

TEST(OpGradients, EachOperandAloneGetsTheSameGradient) {
  size_t cases = 0;
  constexpr DType dtypes[] = {f32};
  for (const Case& c : all_cases(dtypes)) {
    if (!c.differentiable()) continue;
    size_t floats = 0;
    for (const Type& type : c.types()) floats += is_float(type.dtype) ? 1 : 0;
    if (floats < 2) continue;
    SCOPED_TRACE(c.name());
    const CaseGraph forward = apply_case(c);
    const std::vector<Literal> results = Evaluator(*forward.graph, oracle())(forward.values);
    Backward all;
    build_backward(c, results, all, SIZE_MAX);
    const std::vector<Literal> want = Evaluator(all.graph, oracle())(all.values);
    size_t next = 0;
    for (size_t i = 0; i < c.inputs.size(); ++i) {
      Backward one;
      build_backward(c, results, one, i);
      if (one.outputs == 0) continue;
      ASSERT_LT(next, want.size()) << c.name();
      const std::vector<Literal> got = Evaluator(one.graph, oracle())(one.values);
      EXPECT_EQ(difference(want[next++], got[0], 0), "") << c.name() << ", operand " << i;
    }
    EXPECT_EQ(next, want.size()) << c.name();
    ++cases;
  }
  std::printf("[ ops      ] operands alone: %zu cases\n", cases);
  EXPECT_GT(cases, 0u);
}

}  // namespace
}  // namespace backplane::test
