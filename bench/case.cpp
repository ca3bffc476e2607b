// SPDX-License-Identifier: Apache-2.0
#include "case.h"

#include "backplane/graph/graph.h"
#include "backplane/graph/plan.h"
#include "backplane/host/registry.h"

namespace backplane::bench {

namespace {

/// An op that is no operation of the catalogue by itself, as the graph puts it before a device.
host::KernelOp planned(const Case& c) {
  graph::Graph g;
  std::vector<graph::Value> operands;
  std::vector<Layout> layouts;
  for (const Operand& operand : c.operands) {
    operands.push_back(g.add_input(graph::Input::Kind::bound, operand.type, ""));
    layouts.push_back(operand.layout());
  }
  const graph::NodeId id = g.add(*c.op, graph::Attrs(c.op->name, c.op->attrs, c.attrs), operands, {});
  std::vector<graph::Value> outputs;
  for (uint32_t i = 0; i < g.node(id).num_out; ++i) outputs.push_back({id, i});
  g.set_outputs(std::move(outputs));
  // The reference device does the five operations that every device does, so that is what others are asked for, too.
  graph::CompileOptions options;
  options.stream = graph::Stream::of(host::Registry::instance().reference());
  std::vector<host::KernelOp> operations = graph::Plan::compile(g, options, layouts)->operations();
  if (operations.size() != 1) {
    throw Error("[" + std::string(c.op->name) + "] is " + std::to_string(operations.size()) +
                " launches; measure the operations that it decomposes into");
  }
  return std::move(operations[0]);
}

}  // namespace

Layout Operand::layout() const {
  Layout layout = dense_layout(memory().shape);
  for (int axis = 0; axis < stored.rank(); ++axis) {
    if (stored[axis] != type.shape[axis]) layout.strides[static_cast<size_t>(axis)] = 0;
  }
  return layout;
}

std::vector<Type> Case::inputs() const {
  std::vector<Type> types;
  for (const Operand& operand : operands) types.push_back(operand.type);
  return types;
}

std::vector<Type> Case::outputs() const {
  return graph::infer_types(*op, graph::Attrs(op->name, op->attrs, attrs), inputs(), {});
}

graph::Cost Case::cost() const {
  graph::Cost cost = graph::cost_of(*op, graph::Attrs(op->name, op->attrs, attrs), inputs(), outputs());
  for (const Operand& operand : operands)
    cost.bytes -= static_cast<double>(operand.type.bytes() - operand.memory().bytes());
  return cost;
}

graph::KernelOp Case::kernel_op() const {
  if (op->native.encode == nullptr) return planned(*this);
  const std::vector<Type> in = inputs(), out = outputs();
  graph::KernelOp kernel;
  kernel.code = op->native.code;
  kernel.name = op->name.data();
  op->native.encode(graph::Attrs(op->name, op->attrs, attrs), in, out, kernel);
  for (const Operand& operand : operands) kernel.inputs.push_back(to_desc(operand.type, operand.layout()));
  for (const Type& type : out) kernel.outputs.push_back(to_desc(type, dense_layout(type.shape)));
  return kernel;
}

std::string extents_text(const Dimensions& dimensions) {
  std::string text;
  for (const auto& [name, value] : dimensions) text += (text.empty() ? "" : "x") + std::to_string(value);
  return text;
}

std::string by(std::initializer_list<int64_t> extents) {
  std::string text;
  for (int64_t v : extents) text += (text.empty() ? "" : "x") + std::to_string(v);
  return text;
}

Case matmul_case(int64_t m, int64_t n, int64_t k, int64_t batch) {
  return {"matmul/" + (batch == 1 ? by({m, n, k}) : by({batch}) + " of " + by({m, n, k})),
          &graph::op::batch_matmul,
          {},
          {{{DType::f32, {batch, m, k}}}, {{DType::f32, {batch, k, n}}}}};
}

}  // namespace backplane::bench
