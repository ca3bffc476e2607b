// SPDX-License-Identifier: Apache-2.0
// From a line of a suite to cases: shapes and attributes worked out for every combination of dimensions and dtypes.
#include <algorithm>
#include <charconv>

#include "backplane/host/text.h"
#include "suite.h"

namespace backplane::bench {

namespace {

const graph::OpDef& find(const SuiteLine& line) {
  if (const graph::OpDef* op = graph::find_op(line.op)) return *op;
  std::vector<std::string> names;
  for (const graph::OpDef* each : graph::all_ops()) names.emplace_back(each->name);
  const std::string guess = host::nearest(line.op, names);
  throw Error("there is no op '" + line.op + "'" + (guess.empty() ? "" : ", did you mean " + guess + "?"));
}

DType dtype_of(const std::string& name) {
  try {
    return dtype_from_name(name);
  } catch (const std::invalid_argument& error) {
    throw Error(error.what());
  }
}

/// "MxK", "~MxN", "i32:R"
Operand operand_of(const std::string& text, DType usual, const Dimensions& known) {
  const size_t colon = text.find(':');
  Operand operand;
  operand.type.dtype = colon == std::string::npos ? usual : dtype_of(text.substr(0, colon));
  bool broadcast = false;
  for (const std::string& axis : host::split(text.substr(colon == std::string::npos ? 0 : colon + 1), 'x')) {
    const bool once = axis.starts_with('~');
    const int64_t extent = evaluate(axis.substr(once ? 1 : 0), known);
    if (extent < 0 || operand.type.shape.rank() == kMaxRank)
      throw Error("'" + text + "' with " + std::to_string(extent) + " is no shape");
    operand.type.shape.push_back(extent);
    operand.stored.push_back(once ? 1 : extent);
    broadcast = broadcast || once;
  }
  if (!broadcast) operand.stored = {};
  return operand;
}

double real(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) throw Error("'" + text + "' is no number");
  return value;
}

graph::AttrValue attribute_value(graph::AttrKind kind, const std::string& text, const Dimensions& known) {
  switch (kind) {
    case graph::AttrKind::integer: return evaluate(text, known);
    case graph::AttrKind::real: return real(text);
    case graph::AttrKind::boolean: return text == "true" || text == "1";
    case graph::AttrKind::dtype: return dtype_of(text);
    case graph::AttrKind::integers: {
      std::vector<int64_t> list;
      for (const std::string& each : host::split(text, ',')) list.push_back(evaluate(each, known));
      return list;
    }
  }
  return int64_t{0};
}

graph::AttrArg attribute_of(const graph::OpDef& op, const std::string& name, const std::string& text,
                            const Dimensions& known) {
  std::vector<std::string> names;
  for (const graph::AttrSpec& spec : op.attrs) {
    if (spec.name == name) return {spec.name, attribute_value(spec.kind, text, known)};
    names.emplace_back(spec.name);
  }
  throw Error("'" + name + "' is no attribute of " + std::string(op.name) + "; it has: " +
              (names.empty() ? "none" : host::join(names, ", ")));
}

/// The text names no dimension, so that the case's name has to tell.
bool is_literal(const std::string& text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return is_dimension({&c, 1}); });
}

Case make_case(const SuiteLine& line, const Dimensions& dimensions, const std::string& dtype) {
  Case c;
  c.op = &find(line);
  c.label = line.label, c.dimensions = dimensions, c.dtype = dtype_of(dtype);
  for (const std::string& text : line.operands) c.operands.push_back(operand_of(text, c.dtype, dimensions));
  c.line = line.op + (line.label == line.op ? "" : " name=" + line.label);
  if (!line.operands.empty()) c.line += " in=" + host::join(line.operands, ",");
  for (const auto& [name, text] : line.attributes) {
    c.attrs.push_back(attribute_of(*c.op, name, text, dimensions));
    c.line += " " + name + "=" + text;
    if (is_literal(text)) c.attributes += (c.attributes.empty() ? "" : ",") + name + "=" + text;
  }
  std::string extents;
  for (const auto& [name, value] : dimensions) {
    const std::string pair = name + "=" + std::to_string(value);
    extents += (extents.empty() ? "" : ",") + pair;
    c.line += " " + pair;
  }
  if (dimensions.empty()) extents = host::join(line.operands, ",");
  c.line += " dtypes=" + dtype;
  c.name = c.label + "/" + extents + (c.attributes.empty() || extents.empty() ? "" : ",") + c.attributes;
  c.outputs();  // throws where the operands do not fit
  return c;
}

}  // namespace

std::vector<Case> expand(const SuiteLine& line, const Overrides& overrides) {
  const std::optional<SuiteLine> used = overridden(line, overrides);
  std::vector<Case> cases;
  if (!used) return cases;
  try {
    for (const Dimensions& dimensions : combinations(used->dimensions)) {
      for (const std::string& dtype : used->dtypes) cases.push_back(make_case(*used, dimensions, dtype));
    }
  } catch (const Error& error) {
    throw Error("[bench] " + line.where + ": " + error.what());
  }
  return cases;
}

}  // namespace backplane::bench
