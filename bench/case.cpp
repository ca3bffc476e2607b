// SPDX-License-Identifier: Apache-2.0
#include "case.h"

#include <cmath>
#include <cstring>
#include <random>

#include "oracle.h"

namespace backplane::bench {

namespace {

std::vector<std::byte> random_values(const Operand& operand, uint32_t seed) {
  std::mt19937 engine(seed);
  const auto next = [&] { return operand.low + (operand.high - operand.low) * static_cast<double>(engine()) * 0x1p-32; };
  const auto count = static_cast<size_t>(operand.memory().elements());
  std::vector<std::byte> bytes(static_cast<size_t>(operand.memory().bytes()));
  for (size_t i = 0; i < count; ++i) {
    switch (operand.type.dtype) {
      case DType::f32: {
        const auto value = static_cast<float>(next());
        std::memcpy(&bytes[i * sizeof value], &value, sizeof value);
        break;
      }
      case DType::i32: {
        const auto value = static_cast<int32_t>(std::floor(next()));
        std::memcpy(&bytes[i * sizeof value], &value, sizeof value);
        break;
      }
      default:
        throw Error("[bench] operands of " + std::string(name_of(operand.type.dtype)) + " have no random values yet");
    }
  }
  return bytes;
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

std::vector<std::vector<std::byte>> make_values(const Case& c) {
  std::vector<std::vector<std::byte>> values;
  for (const Operand& operand : c.operands) {
    if (operand.made_by == nullptr) {
      values.push_back(random_values(operand, static_cast<uint32_t>(values.size() + 1)));
      continue;
    }
    Case maker{"", operand.made_by, operand.attrs, {}};
    std::vector<std::vector<std::byte>> from;
    for (size_t i : operand.from) {
      maker.operands.push_back(c.operands[i]);
      from.push_back(values[i]);
    }
    values.push_back(expected(maker, from).outputs[operand.output]);
  }
  return values;
}

graph::KernelOp Case::kernel_op() const {
  if (op->native.encode == nullptr) throw Error("[" + std::string(op->name) + "] is no operation of the catalogue");
  const std::vector<Type> in = inputs(), out = outputs();
  graph::KernelOp kernel;
  kernel.code = op->native.code;
  kernel.name = op->name.data();
  op->native.encode(graph::Attrs(op->name, op->attrs, attrs), in, out, kernel);
  for (const Operand& operand : operands) kernel.inputs.push_back(to_desc(operand.type, operand.layout()));
  for (const Type& type : out) kernel.outputs.push_back(to_desc(type, dense_layout(type.shape)));
  return kernel;
}

std::string by(std::initializer_list<int64_t> extents) {
  std::string text;
  for (int64_t v : extents) text += (text.empty() ? "" : "x") + std::to_string(v);
  return text;
}

}  // namespace backplane::bench
