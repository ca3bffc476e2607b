// SPDX-License-Identifier: Apache-2.0
// verify: what every graph has to be. A violation is a bug of ours, so the text starts with `internal:` and names the
// pass that made the graph. Checked: ids are topological, operands and outputs exist, arity, types equal what the op infers,
// inputs, literals and programs belong where they are.
#include <string>

#include "backplane/graph/ops.h"
#include "passes/passes.h"
#include "plan/fit.h"

namespace backplane::graph {

namespace {

class Verifier {
 public:
  Verifier(const Graph& graph, std::string_view after) : graph_(graph), after_(after) {}

  void run() {
    for (NodeId id = 0; id < graph_.size(); ++id) check_node(id);
    for (Value v : graph_.outputs()) {
      if (!exists(v, graph_.size())) bad("output names %" + std::to_string(v.node) + ", which does not exist");
    }
    size_t inputs = 0;
    for (NodeId id = 0; id < graph_.size(); ++id) inputs += graph_.node(id).op == &op::input;
    if (inputs != graph_.inputs().size()) {
      bad(std::to_string(inputs) + " input nodes for " + std::to_string(graph_.inputs().size()) + " inputs");
    }
    for (const Input& input : graph_.inputs()) {
      if (input.node >= graph_.size() || graph_.node(input.node).op != &op::input) {
        bad("input '" + input.name + "' names %" + std::to_string(input.node) + ", which is no input node");
      }
    }
  }

 private:
  bool exists(Value v, size_t below) const { return v.node < below && v.out < graph_.node(v.node).num_out; }

  [[noreturn]] void bad(const std::string& what) const {
    fail_internal("after pass '" + std::string(after_) + "': " + what);
  }
  [[noreturn]] void bad(NodeId id, const std::string& what) const {
    const Node& node = graph_.node(id);
    std::string text = "%" + std::to_string(id) + " = " + std::string(node.op->name) + node.attrs.to_string();
    text += ": " + what;
    if (const std::string at = node.loc.to_string(); !at.empty()) text += " / " + at;
    bad(text);
  }

  void check_node(NodeId id) const {
    const Node& node = graph_.node(id);
    if (node.op == nullptr) bad("%" + std::to_string(id) + " has no op");
    for (Value v : graph_.inputs_of(id)) {
      if (!exists(v, id)) bad(id, "operand %" + std::to_string(v.node) + " is not an earlier value");
    }
    if (node.op->outputs >= 0 && node.num_out != static_cast<uint32_t>(node.op->outputs)) {
      bad(id, "has " + std::to_string(node.num_out) + " outputs, not " + std::to_string(node.op->outputs));
    }
    if ((node.literal != nullptr) != (node.op == &op::constant)) bad(id, "literal and op do not belong together");
    const bool may_have_epilogue = node.op->native.code != 0 && node.op->native.code != BP_OP_POINTWISE;
    if (node.program == nullptr ? node.op == &op::pointwise : node.op != &op::pointwise && !may_have_epilogue) {
      bad(id, "program and op do not belong together");
    }
    if (node.literal != nullptr) return check_literal(id, *node.literal);
    if (node.op == &op::pointwise) return check_program(id, *node.program);
    if (node.op != &op::input) check_types(id);
  }

  void check_literal(NodeId id, const Literal& literal) const {
    if (literal.type != graph_.type({id, 0})) bad(id, "type is not the literal's " + literal.type.to_string());
    if (static_cast<int64_t>(literal.bytes.size()) != literal.type.bytes()) {
      bad(id, "literal has " + std::to_string(literal.bytes.size()) + " bytes for " + literal.type.to_string());
    }
  }

  void check_types(NodeId id) const {
    const Node& node = graph_.node(id);
    std::vector<Type> wanted;
    try {
      std::vector<Type> operands = graph_.input_types(id);
      operands.resize(own_inputs(node));
      wanted = infer_types(*node.op, node.attrs, operands, node.loc);
      if (node.program != nullptr) wanted[0].dtype = node.program->output_dtypes[0];  // what the epilogue makes of it
    } catch (const Error& error) {
      bad(id, std::string("operands are refused: ") + error.what());
    }
    const std::span<const Type> have = graph_.types_of(id);
    for (size_t i = 0; i < have.size(); ++i) {
      if (i >= wanted.size() || have[i] != wanted[i]) {
        bad(id, "output " + std::to_string(i) + " is " + have[i].to_string() + ", inference says " +
                    (i < wanted.size() ? wanted[i].to_string() : "nothing"));
      }
    }
  }

  /// Operands broadcast to the one shape that all outputs have; output dtypes are the program's.
  void check_program(NodeId id, const ScalarProgram& program) const {
    const std::span<const Value> in = graph_.inputs_of(id);
    const std::span<const Type> out = graph_.types_of(id);
    if (program.num_inputs != in.size() || program.outputs.size() != out.size() || out.empty() ||
        program.output_dtypes.size() != out.size()) {
      bad(id, "program and node differ in the number of operands or outputs");
    }
    if (in.size() > BP_PROGRAM_MAX_INPUTS || out.size() > BP_PROGRAM_MAX_OUTPUTS ||
        program.instrs.size() > BP_PROGRAM_MAX_INSTRS) {
      bad(id, "program is larger than the limits allow");
    }
    for (size_t i = 0; i < out.size(); ++i) {
      if (out[i].dtype != program.output_dtypes[i] || out[i].shape != out[0].shape) {
        bad(id, "output " + std::to_string(i) + " is " + out[i].to_string() + ", which the program does not give");
      }
      if (program.outputs[i] >= program.num_inputs + program.instrs.size()) bad(id, "output names no value");
    }
    for (size_t i = 0; i < program.instrs.size(); ++i) {
      const bp_instr& instr = program.instrs[i];
      const size_t limit = program.num_inputs + i;
      const bool reads = instr.code != BP_S_CONST;
      if (reads && (instr.a >= limit || (instr.code >= BP_S_ADD && instr.b >= limit) ||
                    (instr.code == BP_S_SELECT && instr.c >= limit))) {
        bad(id, "instruction " + std::to_string(i) + " reads a later value");
      }
    }
    for (Value v : in) {
      const Shape& shape = graph_.type(v).shape;
      const int shift = out[0].shape.rank() - shape.rank();
      bool fits = shift >= 0;
      for (int axis = 0; fits && axis < shape.rank(); ++axis) {
        fits = shape[axis] == 1 || shape[axis] == out[0].shape[axis + shift];
      }
      if (!fits) bad(id, "operand " + graph_.type(v).to_string() + " does not broadcast to " + out[0].to_string());
    }
  }

  const Graph& graph_;
  std::string_view after_;
};

}  // namespace

void verify_graph(const Graph& graph, std::string_view after) { Verifier(graph, after).run(); }

std::unique_ptr<Graph> passes::verify(const Graph& graph, const PassContext&) {
  verify_graph(graph, "(none: the graph as it was given)");
  return nullptr;
}

}  // namespace backplane::graph
