// SPDX-License-Identifier: Apache-2.0
#include "nn_ops/arrays.h"

#include <cmath>
#include <random>

#include "backplane/graph/plan.h"
#include "backplane/host/registry.h"
#include "backplane/sdk/scalar.h"

namespace backplane::graph::nn_test {

namespace {

/// Applies every composite op as its decomposition.
class Dismantler final : public Builder {
 public:
  explicit Dismantler(Graph& target) : target_(target) {}

  std::vector<Sym> apply(const OpDef& op, Attrs attrs, std::span<const Sym> inputs) override {
    if (op.tier == Tier::composite && op.decompose != nullptr) return op.decompose({*this, attrs, inputs});
    std::vector<Sym> in;
    for (Sym s : inputs) in.push_back(inner(s));
    std::vector<Sym> out = target_.apply(op, std::move(attrs), in);
    for (Sym& s : out) s = mine(s);
    return out;
  }
  Sym constant(const Type& type, std::vector<std::byte> bytes) override {
    return mine(target_.constant(type, std::move(bytes)));
  }
  const Type& type_of(Sym s) const override { return target_.type_of(inner(s)); }

  Sym mine(Sym s) { return {this, s.id, s.out}; }
  Sym inner(Sym s) const { return {&target_, s.id, s.out}; }

 private:
  Graph& target_;
};

std::unique_ptr<Graph> dismantled(const Graph& graph) {
  auto result = std::make_unique<Graph>();
  Dismantler builder(*result);
  std::vector<std::vector<Sym>> map(graph.size());
  size_t next_input = 0;
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (next_input < graph.inputs().size() && graph.inputs()[next_input].node == id) {
      const Input& input = graph.inputs()[next_input++];
      map[id] = {builder.mine(result->sym(result->add_input(input.kind, graph.types_of(id)[0], input.name)))};
    } else if (node.literal != nullptr) {
      map[id] = {builder.mine(result->sym(result->add_constant(node.literal)))};
    } else {
      std::vector<Sym> in;
      for (Value v : graph.inputs_of(id)) in.push_back(map[v.node][v.out]);
      map[id] = builder.apply(*node.op, node.attrs, in);
    }
  }
  std::vector<Value> outputs;
  for (Value v : graph.outputs()) outputs.push_back(result->value(map[v.node][v.out]));
  result->set_outputs(std::move(outputs));
  return result;
}

const CompileOptions& reference_options() {
  static const CompileOptions options{Stream::of(host::Registry::instance().reference()), PassConfig::none()};
  return options;
}

Literal to_literal(const Array& value, DType dtype) {
  const Type type{dtype, value.shape};
  Literal literal{type, std::vector<std::byte>(static_cast<size_t>(type.bytes()))};
  for (size_t i = 0; i < value.v.size(); ++i) {
    bp_sdk_store(static_cast<uint32_t>(dtype), literal.bytes.data(), static_cast<int64_t>(i), value.v[i]);
  }
  return literal;
}

Array to_array(const Literal& literal) {
  Array result(literal.type.shape);
  for (size_t i = 0; i < result.v.size(); ++i) {
    result.v[i] = bp_sdk_load(static_cast<uint32_t>(literal.type.dtype), literal.bytes.data(), static_cast<int64_t>(i));
  }
  return result;
}

/// Sum over all f of sum(f * c) with random constants c; an input of the program keeps them out of the gradients.
Sym projection(Program& program, std::span<const Sym> values, uint64_t seed) {
  Sym total = scalar(program.graph, 0, DType::f64);
  for (Sym value : values) {
    if (!value || !is_float(value.dtype())) continue;
    const Sym weighted = value * program.input(random_array(value.shape(), ++seed));
    Ints axes;
    for (int i = 0; i < value.rank(); ++i) axes.push_back(i);
    total = total + reshape(reduce_sum(weighted, axes), {});
  }
  return total;
}

/// Gradients of `order` in turn; each order projects the gradients of the one before.
struct Differentiated {
  Sym value;
  std::vector<Sym> gradients;
};

Differentiated differentiate(Program& program, const Function& f, std::span<const Sym> in, int order) {
  Differentiated d;
  const std::vector<Sym> outputs = f(program.graph, in);
  d.value = projection(program, outputs, 100);
  for (int i = 0; i < order; ++i) {
    if (i > 0) d.value = projection(program, d.gradients, 200);
    const std::vector<TapeEntry> tape = tape_of(program.graph, static_cast<NodeId>(program.graph.size()));
    d.gradients = gradients(program.graph, tape, std::span(&d.value, 1), in, {}, true);
  }
  return d;
}

double value_at(const Function& f, const std::vector<Array>& in, int order, Form form) {
  Program program;
  std::vector<Sym> syms;
  for (const Array& a : in) syms.push_back(program.input(a));
  return program.run1(differentiate(program, f, syms, order).value, form).v[0];
}

void expect_order(const Function& f, std::vector<Array> in, Form form, int order, double tolerance) {
  Program program;
  std::vector<Sym> syms;
  for (const Array& a : in) syms.push_back(program.input(a));
  const std::vector<Sym> symbolic = differentiate(program, f, syms, order).gradients;
  constexpr double kStep = 1e-5;
  size_t compared = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    const Array given = symbolic[i] ? program.run1(symbolic[i], form) : Array(in[i].shape);
    Array expected(in[i].shape);
    // Every element of small operands, a spread of the elements of larger ones.
    const size_t step = 1 + in[i].v.size() / 12;
    for (size_t e = 0; e < in[i].v.size(); ++e) {
      if (e % step != 0) {
        expected.v[e] = given.v[e];
        continue;
      }
      const double x = in[i].v[e];
      in[i].v[e] = x + kStep;
      const double high = value_at(f, in, order, form);
      in[i].v[e] = x - kStep;
      const double low = value_at(f, in, order, form);
      in[i].v[e] = x;
      expected.v[e] = (high - low) / (2 * kStep);
      ++compared;
    }
    expect_close(given, expected, tolerance, "order " + std::to_string(order) + ", operand " + std::to_string(i));
  }
  EXPECT_GT(compared, 0u);
}

}  // namespace

size_t Array::flat(std::initializer_list<int64_t> index) const {
  size_t position = 0;
  int axis = 0;
  for (int64_t i : index) position = position * static_cast<size_t>(shape[axis++]) + static_cast<size_t>(i);
  return position;
}

Array random_array(Shape shape, uint64_t seed, double low, double high) {
  std::mt19937_64 engine(seed);
  std::uniform_real_distribution<double> uniform(low, high);
  Array result(shape);
  for (double& v : result.v) v = uniform(engine);
  return result;
}

std::ostream& operator<<(std::ostream& out, Form form) {
  return out << (form == Form::native ? "native" : "decomposed");
}

Sym Program::input(const Array& value, DType dtype) {
  values_.push_back(value);
  dtypes_.push_back(dtype);
  return graph.sym(
      graph.add_input(Input::Kind::placeholder, {dtype, value.shape}, "x" + std::to_string(values_.size())));
}

std::vector<Array> Program::run(std::span<const Sym> outputs, Form form) {
  std::vector<Value> values;
  for (Sym s : outputs) values.push_back(graph.value(s));
  graph.set_outputs(values);
  std::vector<Literal> inputs;
  for (size_t i = 0; i < values_.size(); ++i) inputs.push_back(to_literal(values_[i], dtypes_[i]));
  std::vector<Array> results;
  if (form == Form::native) {
    for (const Literal& out : evaluate(graph, inputs, reference_options())) results.push_back(to_array(out));
    return results;
  }
  const std::unique_ptr<Graph> parts = dismantled(graph);
  for (NodeId id = 0; id < parts->size(); ++id) {
    const Node& node = parts->node(id);
    EXPECT_FALSE(node.op->tier == Tier::composite && node.op->decompose != nullptr) << node.op->name;
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    EXPECT_EQ(parts->type(parts->outputs()[i]).to_string(), outputs[i].type().to_string());
  }
  for (const Literal& out : evaluate(*parts, inputs, reference_options())) results.push_back(to_array(out));
  return results;
}

void expect_close(const Array& actual, const Array& expected, double tolerance, const std::string& what) {
  ASSERT_EQ(actual.shape.to_string(), expected.shape.to_string()) << what;
  for (size_t i = 0; i < actual.v.size(); ++i) {
    const double a = actual.v[i], e = expected.v[i];
    const bool same = std::isnan(e)   ? std::isnan(a)
                      : std::isinf(e) ? a == e
                                      : std::abs(a - e) <= tolerance * (1 + std::abs(e));
    ASSERT_TRUE(same) << what << ": element " << i << " is " << a << ", expected " << e;
  }
}

void expect_derivatives(const Function& f, const std::vector<Array>& in, Form form, bool second, double tolerance) {
  expect_order(f, in, form, 1, tolerance);
  if (second) expect_order(f, in, form, 2, tolerance * 10);
}

}  // namespace backplane::graph::nn_test
