// SPDX-License-Identifier: Apache-2.0
// Legalise: every composite either stays, because the device does it natively, or becomes its decomposition, which is
// legalised in turn. Primitives and scalar ops pass through; lowering places the ones that a device declines on the host.
//
// Depth is finite because a composite refers only to ops earlier in all_ops().
#include <functional>
#include <unordered_map>

#include "backplane/graph/ops.h"
#include "backplane/graph/plan.h"
#include "passes/passes.h"
#include "plan/fit.h"

namespace backplane::graph {

namespace {

class Legaliser final : public Builder {
 public:
  Legaliser(const Graph& source, const PassContext& context)
      : source_(source), context_(context), result_(std::make_unique<Graph>()),
        layouts_(*result_, context.input_layouts) {}

  std::unique_ptr<Graph> run() {
    std::vector<std::vector<Value>> map(source_.size());
    size_t next_input = 0;
    for (NodeId id = 0; id < source_.size(); ++id) {
      const Node& node = source_.node(id);
      loc = node.loc;
      if (next_input < source_.inputs().size() && source_.inputs()[next_input].node == id) {
        const Input& input = source_.inputs()[next_input++];
        result_->loc = node.loc;
        map[id] = {result_->add_input(input.kind, source_.types_of(id)[0], input.name, input.key)};
        continue;
      }
      if (node.literal != nullptr) {
        result_->loc = node.loc;
        map[id] = {result_->add_constant(node.literal)};
        continue;
      }
      std::vector<Value> in;
      for (Value v : source_.inputs_of(id)) in.push_back(map[v.node][v.out]);
      map[id] = place(*node.op, node.attrs, in, source_.types_of(id), node.program);
    }
    std::vector<Value> outputs;
    for (Value v : source_.outputs()) outputs.push_back(map[v.node][v.out]);
    result_->set_outputs(std::move(outputs));
    return std::move(result_);
  }

  // A decomposition applies its ops here. ---------------------------------------------------------------------------
  std::vector<Sym> apply(const OpDef& op, Attrs attrs, std::span<const Sym> inputs) override {
    std::vector<Value> in;
    std::vector<Type> types;
    for (Sym s : inputs) {
      in.push_back({s.id, s.out});
      types.push_back(s.type());
    }
    const std::vector<Type> out = infer_types(op, attrs, types, loc);
    std::vector<Sym> result;
    for (Value v : place(op, attrs, in, out, nullptr)) result.push_back({this, v.node, v.out});
    return result;
  }
  Sym constant(const Type& type, std::vector<std::byte> bytes) override {
    result_->loc = loc;
    const Value v = result_->add_constant(std::make_shared<Literal>(Literal{type, std::move(bytes)}));
    return {this, v.node, v.out};
  }
  const Type& type_of(Sym s) const override { return result_->type({s.id, s.out}); }

 private:
  std::vector<Value> place(const OpDef& op, const Attrs& attrs, std::span<const Value> in, std::span<const Type> out,
                           std::shared_ptr<const ScalarProgram> program) {
    if (op.tier != Tier::composite) return outputs_of(result_->add(op, attrs, in, loc, out, std::move(program)));
    std::string reason;
    if (op.native.code != 0) {
      if (auto done = natively(op, attrs, in, out, reason)) return *done;
    }
    if (op.decompose == nullptr) return outputs_of(result_->add(op, attrs, in, loc, out));
    if (context_.decompositions != nullptr && !reason.empty()) {
      context_.decompositions->push_back({&op, out[0], loc, reason});
    }
    std::vector<Sym> syms;
    for (Value v : in) syms.push_back({this, v.node, v.out});
    std::vector<Value> values;
    for (Sym s : op.decompose({*this, attrs, syms})) values.push_back({s.id, s.out});
    check_types(op, values, out);
    return values;
  }

  std::optional<std::vector<Value>> natively(const OpDef& op, const Attrs& attrs, std::span<const Value> in,
                                             std::span<const Type> out, std::string& reason) {
    std::vector<Type> types;
    std::vector<Layout> layouts;
    for (Value v : in) {
      types.push_back(result_->type(v));
      layouts.push_back(layouts_.of(v));
    }
    KernelOp kernel;
    kernel.code = op.native.code;
    kernel.name = op.name.data();
    if (op.native.encode != nullptr) op.native.encode(attrs, types, out, kernel);
    for (size_t i = 0; i < in.size(); ++i) kernel.inputs.push_back(to_desc(types[i], layouts[i]));
    for (const Type& type : out) kernel.outputs.push_back(to_desc(type, dense_layout(type.shape)));
    const Fit answer = fit(*context_.stream, kernel);
    reason = answer.reason;
    if (!answer.accepted) return std::nullopt;
    if (answer.dtype == 0) return outputs_of(result_->add(op, attrs, in, loc, out));
    // The device computes in another dtype: cast in, run, cast back.
    const auto wanted = static_cast<DType>(answer.dtype);
    std::vector<Sym> cast_in;
    for (Value v : in) {
      Sym s{this, v.node, v.out};
      cast_in.push_back(is_real(s.dtype()) ? graph::cast(s, wanted) : s);
    }
    std::vector<Value> values;
    const std::vector<Sym> results = apply(op, attrs, cast_in);
    for (size_t i = 0; i < results.size(); ++i) {
      const Sym s = is_real(results[i].dtype()) ? graph::cast(results[i], out[i].dtype) : results[i];
      values.push_back({s.id, s.out});
    }
    return values;
  }

  void check_types(const OpDef& op, std::span<const Value> values, std::span<const Type> expected) const {
    if (values.size() != expected.size()) {
      fail_internal("decomposition of '" + std::string(op.name) + "' gives another number of outputs");
    }
    for (size_t i = 0; i < values.size(); ++i) {
      if (!(result_->type(values[i]) == expected[i])) {
        fail_internal("decomposition of '" + std::string(op.name) + "' gives " + result_->type(values[i]).to_string() +
                      ", inference says " + expected[i].to_string());
      }
    }
  }

  std::vector<Value> outputs_of(NodeId id) const {
    std::vector<Value> values;
    for (uint32_t i = 0; i < result_->node(id).num_out; ++i) values.push_back({id, i});
    return values;
  }

  const Graph& source_;
  const PassContext& context_;
  std::unique_ptr<Graph> result_;
  Layouts layouts_;
};

}  // namespace

std::unique_ptr<Graph> passes::legalise(const Graph& graph, const PassContext& context) {
  return Legaliser(graph, context).run();
}

}  // namespace backplane::graph
