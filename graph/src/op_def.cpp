// SPDX-License-Identifier: Apache-2.0
// What is common to all ops: type inference with shared checks, cost, look-up by name.
#include "backplane/graph/op_def.h"

#include <unordered_map>

#include "ops/axis_error.h"

namespace backplane::graph {

const OpDef* find_op(std::string_view name) {
  static const auto* const index = [] {
    auto* map = new std::unordered_map<std::string_view, const OpDef*>();
    for (const OpDef* op : all_ops()) map->emplace(op->name, op);
    return map;
  }();
  const auto found = index->find(name);
  return found != index->end() ? found->second : nullptr;
}

Cost cost_of(const OpDef& op, const Attrs& attrs, std::span<const Type> in, std::span<const Type> out) {
  if (op.cost != nullptr) return op.cost(attrs, in, out);
  Cost cost;
  if (op.tier == Tier::view || op.tier == Tier::source) return cost;
  for (const Type& type : in) cost.bytes += static_cast<double>(type.bytes());
  for (const Type& type : out) {
    cost.bytes += static_cast<double>(type.bytes());
    cost.flops += static_cast<double>(type.elements());
  }
  return cost;
}

std::vector<Type> infer_types(const OpDef& op, const Attrs& attrs, std::span<const Type> in, SourceLoc loc) {
  const InferArgs args{op.name, attrs, in, loc};
  const int given = static_cast<int>(in.size());
  if (given < op.min_inputs || (op.max_inputs >= 0 && given > op.max_inputs)) {
    args.fail("takes " + std::to_string(op.min_inputs) +
              (op.max_inputs == op.min_inputs ? "" : op.max_inputs < 0 ? " or more" : " to " + std::to_string(op.max_inputs)) +
              " operands, not " + std::to_string(given));
  }
  std::vector<Type> out;
  try {
    out = op.infer(args);
  } catch (const AxisError& error) {
    args.fail(error.problem(), error.remedy());
  }
  for (const Type& type : out) {
    for (int axis = 1; axis < type.shape.rank(); ++axis) {
      if (type.shape[axis] == dyn) {
        args.fail("an unknown extent would end up on axis " + std::to_string(axis) + " of the result " + type.to_string(),
                  "only the leading dimension may be unknown; give the others");
      }
    }
  }
  return out;
}

}  // namespace backplane::graph
