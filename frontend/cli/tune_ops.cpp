// SPDX-License-Identifier: Apache-2.0
// From "matmul" and "512x256,256x128" to the operations that a device is asked for: a graph of one node, compiled like
// any other.
#include <charconv>

#include <fmt/format.h>

#include "backplane/graph/graph.h"
#include "backplane/graph/op_def.h"
#include "backplane/graph/plan.h"
#include "backplane/host/text.h"
#include "cli/tune.h"

namespace backplane::cli {
namespace {

[[noreturn]] void refuse(const std::string& what) { throw CommandError(ExitCode::usage, "[tune] " + what); }

const graph::OpDef& find(const std::string& name) {
  if (const graph::OpDef* op = graph::find_op(name)) return *op;
  std::vector<std::string> names;
  for (const graph::OpDef* each : graph::all_ops()) names.emplace_back(each->name);
  const std::string guess = host::nearest(name, names);
  refuse("there is no operation '" + name + "'" + (guess.empty() ? "" : ", did you mean " + guess + "?") +
         " / docs/ops.md lists them");
}

int64_t integer(std::string_view text, const std::string& what) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    refuse("'" + std::string(text) + "' in " + what + " is no number");
  return value;
}

/// "512x256" or "i32:64"
Type type_of(const std::string& text, const std::string& dtype) {
  const size_t colon = text.find(':');
  Type type;
  try {
    type.dtype = dtype_from_name(colon == std::string::npos ? dtype : text.substr(0, colon));
  } catch (const std::invalid_argument& error) {
    refuse(error.what());
  }
  const std::string extents = colon == std::string::npos ? text : text.substr(colon + 1);
  for (const std::string& each : host::split(extents, 'x')) {
    const int64_t extent = integer(each, "'" + text + "'");
    if (extent < 0 || type.shape.rank() == kMaxRank) refuse("'" + text + "' is no shape / say it like 512x256");
    type.shape.push_back(extent);
  }
  return type;
}

graph::AttrValue attr_of(graph::AttrKind kind, const std::string& text) {
  switch (kind) {
    case graph::AttrKind::integer: return integer(text, "an attribute");
    case graph::AttrKind::real: {
      double value = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (error != std::errc() || end != text.data() + text.size()) refuse("'" + text + "' is no number");
      return value;
    }
    case graph::AttrKind::boolean: return text == "1" || text == "true";
    case graph::AttrKind::dtype: return dtype_from_name(text);
    case graph::AttrKind::integers: {
      std::vector<int64_t> list;
      for (const std::string& each : host::split(text, ',')) list.push_back(integer(each, "an attribute"));
      return list;
    }
  }
  return int64_t{0};
}

graph::AttrArg attribute(const graph::OpDef& op, const std::string& text) {
  const size_t equals = text.find('=');
  const std::string name = text.substr(0, equals);
  for (const graph::AttrSpec& spec : op.attrs) {
    if (spec.name == name && equals != std::string::npos)
      return {spec.name, attr_of(spec.kind, text.substr(equals + 1))};
  }
  std::string known;
  for (const graph::AttrSpec& spec : op.attrs) known += (known.empty() ? "" : ", ") + std::string(spec.name);
  refuse("'" + text + "' is no attribute of " + std::string(op.name) +
         " / it has: " + (known.empty() ? "none" : known));
}

}  // namespace

std::vector<host::KernelOp> operations_for(const Device& device, const std::string& name, const std::string& shape,
                                           const std::string& dtype) {
  const graph::OpDef& op = find(name);
  std::vector<std::string> parts = host::split(shape, ';');
  graph::Graph g;
  std::vector<graph::Value> operands;
  for (const std::string& each : host::split(parts[0], ',')) {
    operands.push_back(g.add_input(graph::Input::Kind::bound, type_of(each, dtype), ""));
  }
  std::vector<graph::AttrArg> attrs;
  for (size_t i = 1; i < parts.size(); ++i) attrs.push_back(attribute(op, parts[i]));
  try {
    const graph::NodeId id = g.add(op, graph::Attrs(op.name, op.attrs, attrs), operands, {});
    std::vector<graph::Value> outputs;
    for (uint32_t i = 0; i < g.node(id).num_out; ++i) outputs.push_back({id, i});
    g.set_outputs(std::move(outputs));
    graph::CompileOptions options;
    options.stream = device.stream();
    return graph::Plan::compile(g, options)->operations();
  } catch (const Error& error) {
    refuse(name + " of " + shape + ": " + error.what());
  }
}

}  // namespace backplane::cli
