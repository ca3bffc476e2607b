// SPDX-License-Identifier: Apache-2.0
// fuse_epilogue: the elementwise work behind a matrix product, convolution or reduction becomes its epilogue.
//
//     %5 = batch_matmul(%1, %2)           |
//     %6 = pointwise(%5, %3) {v0 + v1 ..} |  %6 = batch_matmul(%1, %2, %3) program {v0 + v1 ...}
//
// Conditions: nothing else uses the result; the elementwise node has one output of the result's type (or any dtype behind a
// product of 8-bit floats, which is scaled and narrowed at once) and runs over the result's own elements, not over a
// broadcast of it; the value is f32 or f64 (rounding to a half before the epilogue would be lost); the device says yes to
// the whole. Extra operands come behind the op's own, in the order of the program.
#include <algorithm>

#include "backplane/graph/ops.h"
#include "passes/passes.h"
#include "passes/rewrite.h"
#include "plan/fit.h"

namespace backplane::graph::passes {

namespace {

constexpr NodeId kNone = UINT32_MAX;

/// The catalogue lets these carry an epilogue.
constexpr uint32_t kWithEpilogue[] = {BP_OP_MATMUL, BP_OP_REDUCE, BP_OP_CONVOLUTION, BP_OP_CONVOLUTION_GRAD_DATA,
                                      BP_OP_CONVOLUTION_GRAD_FILTER};

bool may_carry_epilogue(const Node& node) {
  if (node.program != nullptr || node.num_out != 1) return false;
  if (node.out[0].dtype != DType::f32 && node.out[0].dtype != DType::f64) return false;
  return std::find(std::begin(kWithEpilogue), std::end(kWithEpilogue), node.op->native.code) != std::end(kWithEpilogue);
}

bool is_pointwise(const Node& node) {
  return node.op->tier == Tier::scalar || node.op->native.code == BP_OP_POINTWISE;
}

/// A node and its epilogue, ready to be added.
struct Fused {
  std::vector<Value> inputs;  ///< of the old graph
  std::shared_ptr<ScalarProgram> program;
};

class EpilogueFuser {
 public:
  EpilogueFuser(const Graph& graph, const PassContext& context)
      : graph_(graph), context_(context), rewriter_(graph), layouts_(graph, context.input_layouts),
        uses_(graph.size(), 0), last_user_(graph.size(), 0), absorbed_(graph.size(), kNone) {}

  std::unique_ptr<Graph> run() {
    count_uses();
    std::vector<Fused> fused(graph_.size());
    bool any = false;
    for (NodeId id = 0; id < graph_.size(); ++id) {
      if (!rewriter_.live(id) || !is_pointwise(graph_.node(id)) || graph_.node(id).num_out != 1) continue;
      for (Value v : graph_.inputs_of(id)) {
        if (!fits(v, id)) continue;
        Fused candidate = combine(v.node, id);
        if (!accepted(v.node, candidate)) continue;
        absorbed_[v.node] = id;
        fused[id] = std::move(candidate);
        any = true;
        break;
      }
    }
    if (!any) return nullptr;
    return write(fused);
  }

 private:
  void count_uses() {
    for (NodeId id = 0; id < graph_.size(); ++id) {
      if (!rewriter_.live(id)) continue;
      for (Value v : graph_.inputs_of(id)) {
        if (last_user_[v.node] != id + 1) ++uses_[v.node];  // several operands of one user count once
        last_user_[v.node] = id + 1;
      }
    }
    for (Value v : graph_.outputs()) uses_[v.node] += 2;
  }

  /// `v` is a contraction whose only user is `user`, element by element.
  bool fits(Value v, NodeId user) const {
    const Node& node = graph_.node(v.node);
    const Type &type = node.out[0], &wanted = graph_.node(user).out[0];
    const bool narrows = node.op == &op::batch_matmul_f8 && is_float(wanted.dtype);
    return absorbed_[v.node] == kNone && uses_[v.node] == 1 && may_carry_epilogue(node) && type.shape == wanted.shape &&
           (type.dtype == wanted.dtype || narrows);
  }

  Fused combine(NodeId contraction, NodeId user) const {
    const Node& epilogue = graph_.node(user);
    const ScalarProgram old = epilogue.op->native.code == BP_OP_POINTWISE ? *epilogue.program : program_of(graph_, user);
    Fused fused;
    fused.inputs.assign(graph_.inputs_of(contraction).begin(), graph_.inputs_of(contraction).end());
    std::vector<uint16_t> renumbered;
    uint16_t extra = 1;
    for (Value v : graph_.inputs_of(user)) {
      const bool own = v.node == contraction;
      renumbered.push_back(own ? uint16_t{0} : extra++);
      if (!own) fused.inputs.push_back(v);
    }
    const auto renumber = [&](uint16_t v) {
      return v < old.num_inputs ? renumbered[v] : static_cast<uint16_t>(v - old.num_inputs + extra);
    };
    auto program = std::make_shared<ScalarProgram>(old);
    program->num_inputs = extra;
    for (bp_instr& instr : program->instrs) {
      if (instr.code == BP_S_CONST) continue;
      const int arity = instr.code >= BP_S_SELECT ? 3 : instr.code >= BP_S_ADD ? 2 : 1;
      instr.a = renumber(instr.a);
      if (arity > 1) instr.b = renumber(instr.b);
      if (arity > 2) instr.c = renumber(instr.c);
    }
    for (uint16_t& out : program->outputs) out = renumber(out);
    fused.program = std::move(program);
    return fused;
  }

  bool accepted(NodeId contraction, const Fused& fused) {
    const size_t own = graph_.node(contraction).num_in;
    const size_t operands = fused.inputs.size() + 1;
    if (fused.program->instrs.size() > BP_PROGRAM_MAX_INSTRS || operands > BP_PROGRAM_MAX_INPUTS) return false;
    std::vector<Layout> layouts;
    for (size_t i = 0; i < own; ++i) layouts.push_back(layouts_.of(fused.inputs[i]));
    KernelOp op = native_op(graph_, contraction, layouts);
    const Shape& shape = graph_.node(contraction).out[0].shape;
    for (size_t i = own; i < fused.inputs.size(); ++i) {
      const Type& type = graph_.type(fused.inputs[i]);
      op.inputs.push_back(to_desc({type.dtype, shape}, broadcast_layout(type.shape, layouts_.of(fused.inputs[i]), shape)));
    }
    op.outputs[0].dtype = static_cast<uint32_t>(fused.program->output_dtypes[0]);
    set_program(op, *fused.program);
    return context_.stream->support(op).verdict == BP_SUPPORT_YES;
  }

  std::unique_ptr<Graph> write(std::span<const Fused> fused) {
    for (NodeId id = 0; id < graph_.size(); ++id) {
      if (!rewriter_.live(id) || absorbed_[id] != kNone || rewriter_.done({id, 0})) continue;
      if (fused[id].program == nullptr) {
        rewriter_.copy(id);
        continue;
      }
      const Node& node = graph_.node(contraction_of(id));
      std::vector<Value> inputs;
      for (Value v : fused[id].inputs) inputs.push_back(rewriter_.map(v));
      const NodeId made = rewriter_.out().add(*node.op, node.attrs, inputs, node.loc, graph_.types_of(id), fused[id].program);
      rewriter_.replace({id, 0}, {made, 0});
    }
    return rewriter_.finish();
  }

  /// The operand of `user` that was absorbed into it.
  NodeId contraction_of(NodeId user) const {
    for (Value v : graph_.inputs_of(user)) {
      if (absorbed_[v.node] == user) return v.node;
    }
    fail_internal("an epilogue without its contraction");
  }

  const Graph& graph_;
  const PassContext& context_;
  Rewriter rewriter_;
  Layouts layouts_;
  std::vector<uint32_t> uses_;       ///< users of a node, outputs of the graph twice
  std::vector<uint32_t> last_user_;  ///< while counting: 1 + id of the latest
  std::vector<NodeId> absorbed_;     ///< the node a contraction went into
};

}  // namespace

std::unique_ptr<Graph> fuse_epilogue(const Graph& graph, const PassContext& context) {
  return EpilogueFuser(graph, context).run();
}

}  // namespace backplane::graph::passes
