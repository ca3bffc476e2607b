// SPDX-License-Identifier: Apache-2.0
#include "passes/splat.h"

#include <cmath>
#include <cstring>

#include "backplane/graph/ops.h"
#include "backplane/sdk/convert.h"

namespace backplane::graph::passes {

namespace {

Splat first_element(const Literal& literal) {
  const auto dtype = static_cast<uint32_t>(literal.type.dtype);
  Splat splat{literal.type.dtype};
  if (is_real(splat.dtype)) {
    splat.real = bp_sdk_load(dtype, literal.bytes.data(), 0);
  } else if (splat.dtype == i64) {
    std::memcpy(&splat.integer, literal.bytes.data(), sizeof splat.integer);
  } else {
    splat.integer = static_cast<int64_t>(bp_sdk_load(dtype, literal.bytes.data(), 0));
    if (splat.dtype == boolean) splat.integer = splat.integer != 0;
  }
  return splat;
}

}  // namespace

bool Splat::is(double value) const {
  if (is_real(dtype)) return real == value && std::signbit(real) == std::signbit(value);
  return static_cast<double>(integer) == value;
}

bp_instr Splat::instr() const {
  bp_instr instr{};
  instr.code = BP_S_CONST;
  instr.dtype = static_cast<uint16_t>(dtype);
  if (is_real(dtype)) {
    instr.imm.f = real;
  } else {
    instr.imm.i = integer;
  }
  return instr;
}

std::optional<Splat> splat_of(const Graph& graph, Value value) {
  const Node& node = graph.node(value.node);
  if (node.op == &op::full) {
    return Splat{node.attrs.dtype("dtype"), node.attrs.f64("value"), node.attrs.i64("int_value")};
  }
  if (node.literal != nullptr && node.literal->type.elements() == 1) return first_element(*node.literal);
  return std::nullopt;
}

std::optional<Splat> splat_of(const Literal& literal) {
  const auto size = static_cast<size_t>(size_of(literal.type.dtype));
  const std::vector<std::byte>& bytes = literal.bytes;
  if (bytes.size() < size) return std::nullopt;
  // Every element equals its neighbour: the bytes equal themselves, shifted by one element.
  if (std::memcmp(bytes.data(), bytes.data() + size, bytes.size() - size) != 0) return std::nullopt;
  return first_element(literal);
}

Value add_full(Graph& graph, const Splat& splat, const Shape& shape) {
  return graph.value(source(graph, op::full, {{"value", splat.real},
                                              {"int_value", splat.integer},
                                              {"dtype", splat.dtype},
                                              {"shape", shape.vector()}}));
}

}  // namespace backplane::graph::passes
