// SPDX-License-Identifier: Apache-2.0
#include "plan/lowering.h"

#include <algorithm>
#include <cstring>

#include "backplane/graph/ops.h"
#include "backplane/sdk/convert.h"
#include "passes/passes.h"

namespace backplane::graph {

namespace {

/// The bytes of one element with `value`.
std::vector<std::byte> splat_bytes(DType dtype, double real, int64_t integer) {
  std::vector<std::byte> bytes(static_cast<size_t>(size_of(dtype)));
  const auto put = [&](auto v) { std::memcpy(bytes.data(), &v, bytes.size()); };
  switch (dtype) {
    case DType::f32: put(static_cast<float>(real)); break;
    case DType::f64: put(real); break;
    case DType::i32: put(static_cast<int32_t>(integer)); break;
    case DType::i64: put(integer); break;
    case DType::boolean: put(static_cast<uint8_t>(integer != 0)); break;
    default: bp_sdk_store(static_cast<uint32_t>(dtype), bytes.data(), 0, real); break;  // what C++ has no type for
  }
  return bytes;
}

class Lowering {
 public:
  Lowering(const Graph& graph, Stream& stream, const FallbackSource& fallback, std::span<const Layout> input_layouts)
      : graph_(graph), stream_(stream), fallback_(fallback), input_layouts_(input_layouts), places_(graph.size()) {}

  Lowered run() {
    for (NodeId id = 0; id < graph_.size(); ++id) lower_node(id);
    for (Value v : graph_.outputs()) add_output(place(v));
    return std::move(result_);
  }

 private:
  // Slots and places --------------------------------------------------------------------------------------------------
  uint32_t new_slot(Slot::Kind kind, uint64_t bytes) {
    Slot slot;
    slot.kind = kind;
    slot.bytes = bytes;
    result_.slots.push_back(std::move(slot));
    return static_cast<uint32_t>(result_.slots.size() - 1);
  }
  Place new_tensor(const Type& type) {
    return {new_slot(Slot::Kind::arena, static_cast<uint64_t>(type.bytes())), type, dense_layout(type.shape)};
  }
  Place new_constant(const Type& type, const Layout& layout, std::span<const std::byte> bytes) {
    const uint32_t slot = new_slot(Slot::Kind::constant, bytes.size());
    StoragePtr storage = stream_.alloc(bytes.size());
    stream_.upload(storage, 0, bytes.data(), bytes.size());
    result_.slots[slot].storage = std::move(storage);
    return {slot, type, layout};
  }
  const Place& place(Value v) const { return places_[v.node][v.out]; }

  static Place broadcast(const Place& from, const Shape& to) {
    return {from.slot, {from.type.dtype, to}, broadcast_layout(from.type.shape, from.layout, to)};
  }

  // Nodes ---------------------------------------------------------------------------------------------------------------
  void lower_node(NodeId id) {
    const Node& node = graph_.node(id);
    std::vector<Place>& out = places_[id];
    node_ = id;
    if (next_input_ < graph_.inputs().size() && graph_.inputs()[next_input_].node == id) {
      const Type& type = graph_.types_of(id)[0];
      const uint32_t slot = new_slot(Slot::Kind::input, static_cast<uint64_t>(type.bytes()));
      result_.slots[slot].index = static_cast<uint32_t>(next_input_);
      out = {{slot, type, next_input_ < input_layouts_.size() ? input_layouts_[next_input_] : dense_layout(type.shape)}};
      ++next_input_;
      return;
    }
    switch (node.op->tier) {
      case Tier::source: out = {source(node, graph_.types_of(id)[0])}; return;
      case Tier::view: out = {view(node, graph_.types_of(id)[0])}; return;
      case Tier::scalar: out = pointwise(program_of(graph_, id)); return;
      case Tier::assemble: out = {assemble(node, graph_.types_of(id)[0])}; return;
      case Tier::primitive:
      case Tier::composite: out = node.op->native.code == BP_OP_POINTWISE ? pointwise(*node.program) : native(id); return;
      case Tier::deferred: break;
    }
    fail_internal("'" + std::string(node.op->name) + "' was not expanded before lowering");
  }

  Place source(const Node& node, const Type& type) {
    if (node.literal != nullptr) return new_constant(type, dense_layout(type.shape), node.literal->bytes);
    // A splat is one element seen everywhere.
    const double real = node.attrs.f64("value");
    const int64_t integer = node.attrs.i64("int_value");
    return new_constant(type, Layout{}, splat_bytes(type.dtype, real, integer));
  }

  Place view(const Node& node, const Type& type) {
    Place from = place(node.in[0]);
    auto layout = node.op->view(node.attrs, from.type, from.layout, type);
    if (!layout) {
      from = dense_copy(from, "copy for a view that strides cannot express");
      layout = node.op->view(node.attrs, from.type, from.layout, type);
      if (!layout) fail_internal("view '" + std::string(node.op->name) + "' of a dense tensor has no layout");
    }
    return {from.slot, type, *layout};
  }

  std::vector<Place> pointwise(const ScalarProgram& program) {
    const Node& node = graph_.node(node_);
    const Shape& shape = graph_.types_of(node_)[0].shape;
    std::vector<Place> in, out;
    for (Value v : graph_.inputs_of(node_)) in.push_back(broadcast(place(v), shape));
    for (uint32_t i = 0; i < node.num_out; ++i) out.push_back(new_tensor(graph_.types_of(node_)[i]));
    launch_pointwise(program, in, out, describe(program));
    return out;
  }

  Place assemble(const Node& node, const Type& type) {
    Place out = new_tensor(type);
    for (const Piece& piece : node.op->pieces(node.attrs, graph_.input_types(node_), type)) {
      Place window{out.slot, {type.dtype, piece.extent}, {}};
      window.layout.offset = out.layout.offset;
      for (int axis = 0; axis < type.shape.rank(); ++axis) {
        const auto a = static_cast<size_t>(axis);
        window.layout.offset += piece.start[axis] * out.layout.strides[a];
        window.layout.strides[a] = piece.step[axis] * out.layout.strides[a];
      }
      if (piece.source < 0) {
        launch_pointwise(constant_program(type.dtype, piece.fill), {}, {window}, "fill");
      } else {
        const Place from = broadcast(place(node.in[piece.source]), piece.extent);
        launch_pointwise(identity_program(type.dtype), {from}, {window}, std::string(node.op->name));
      }
    }
    return out;
  }

  std::vector<Place> native(NodeId id) {
    const Node& node = graph_.node(id);
    std::vector<Layout> layouts;
    std::vector<Place> in, out;
    for (uint32_t i = 0; i < own_inputs(node); ++i) {
      in.push_back(place(node.in[i]));
      layouts.push_back(in.back().layout);
    }
    for (uint32_t i = 0; i < node.num_out; ++i) out.push_back(new_tensor(graph_.types_of(id)[i]));
    KernelOp op = native_op(graph_, id, layouts);
    std::string how = "native";
    if (node.program != nullptr) {
      for (uint32_t i = own_inputs(node); i < node.num_in; ++i) {
        in.push_back(broadcast(place(node.in[i]), out[0].type.shape));
        op.inputs.push_back(to_desc(in.back().type, in.back().layout));
      }
      set_program(op, *node.program);
      how += " with epilogue " + describe(*node.program);
    }
    add_launch(std::move(op), std::move(in), out, std::move(how));
    return out;
  }

  // Launches --------------------------------------------------------------------------------------------------------------
  void launch_pointwise(const ScalarProgram& program, std::vector<Place> in, std::vector<Place> out, std::string how) {
    std::vector<bp_tensor_desc> in_descs, out_descs;
    for (const Place& p : in) in_descs.push_back(to_desc(p.type, p.layout));
    for (const Place& p : out) out_descs.push_back(to_desc(p.type, p.layout));
    if (out.size() == 1 && is_dense(out[0].type.shape, out[0].layout)) offer_in_place(in, out[0]);
    add_launch(pointwise_op(program, in_descs, out_descs), std::move(in), std::move(out), std::move(how));
  }

  /// A pointwise output may take the memory of an input with the same bytes per element and the same dense layout, when
  /// no other operand looks at that memory differently.
  void offer_in_place(std::span<const Place> in, const Place& out) {
    const auto fits = [&](const Place& p) {
      return p.layout == out.layout && size_of(p.type.dtype) == size_of(out.type.dtype);
    };
    for (const Place& p : in) {
      const Slot& slot = result_.slots[p.slot];
      if (slot.kind != Slot::Kind::arena || slot.bytes != result_.slots[out.slot].bytes) continue;
      if (std::all_of(in.begin(), in.end(), [&](const Place& q) { return q.slot != p.slot || fits(q); })) {
        result_.slots[out.slot].in_place_of = static_cast<int32_t>(p.slot);
        return;
      }
    }
  }

  Place dense_copy(const Place& from, const char* why) {
    Place to = new_tensor(from.type);
    launch_pointwise(identity_program(from.type.dtype), {from}, {to}, why);
    return to;
  }

  void add_launch(KernelOp op, std::vector<Place> in, std::vector<Place> out, std::string how) {
    if (std::all_of(out.begin(), out.end(), [](const Place& p) { return p.type.elements() == 0; })) return;  // nothing to write
    Launch launch;
    launch.node = node_;
    launch.how = std::move(how);
    const Fit answer = fit(stream_, op);
    Stream* where = &stream_;
    if (answer.accepted && answer.dtype == 0) {
      for (size_t i = 0; i < in.size(); ++i) {
        if ((answer.densify >> i & 1u) != 0) in[i] = dense_copy(in[i], "copy to a dense operand");
      }
    } else {
      launch.fallback = true;
      launch.reason = answer.reason;
      if (result_.fallback == nullptr) result_.fallback = fallback_();
      where = result_.fallback.get();
      if (where == nullptr || where->support(op).verdict != BP_SUPPORT_YES) fail_declined(answer.reason, in);
    }
    if (launch.fallback) {
      launch.kernel = where->kernel(op);
    } else {
      const Stream::Choice choice = stream_.choose(op);
      launch.kernel = choice.kernel;
      launch.decision = choice.decision;
    }
    launch.op = std::move(op);
    if (launch.kernel->workspace != 0 && !launch.fallback) {
      launch.workspace_slot = static_cast<int32_t>(new_slot(Slot::Kind::arena, launch.kernel->workspace));
    }
    launch.in = std::move(in);
    launch.out = std::move(out);
    note_uses(launch);
    result_.launches.push_back(std::move(launch));
  }

  void note_uses(const Launch& launch) {
    const auto index = static_cast<uint32_t>(result_.launches.size());
    const auto use = [&](uint32_t slot) {
      Slot& s = result_.slots[slot];
      s.first_use = std::min(s.first_use, index);
      s.last_use = std::max(s.last_use, index);
    };
    for (const Place& p : launch.in) use(p.slot);
    for (const Place& p : launch.out) use(p.slot);
    if (launch.workspace_slot >= 0) use(static_cast<uint32_t>(launch.workspace_slot));
  }

  [[noreturn]] void fail_declined(const std::string& reason, std::span<const Place> in) const {
    const Node& node = graph_.node(node_);
    std::vector<Type> operands;
    for (const Place& p : in) operands.push_back(p.type);
    backplane::fail(node.op->name, stream_.device()->name() + " declines it: " + reason, operands, node.loc,
                    result_.fallback == nullptr ? "there is no other device to fall back to"
                                         : "the host fallback declines it too; use other dtypes or shapes");
  }

  void add_output(Place p) {
    Slot* slot = &result_.slots[p.slot];
    const bool whole = is_dense(p.type.shape, p.layout) && p.layout.offset == 0 &&
                       slot->bytes == static_cast<uint64_t>(p.type.bytes());
    if (!whole) {
      p = dense_copy(p, "copy to a dense result");
      slot = &result_.slots[p.slot];
    }
    if (slot->kind == Slot::Kind::arena) {
      slot->kind = Slot::Kind::output;
      slot->in_place_of = -1;
      slot->index = result_.num_output_slots++;
    }
    result_.outputs.push_back(std::move(p));
  }

  const Graph& graph_;
  Stream& stream_;
  const FallbackSource& fallback_;
  std::span<const Layout> input_layouts_;
  std::vector<std::vector<Place>> places_;
  Lowered result_;
  size_t next_input_ = 0;
  NodeId node_ = 0;
};

}  // namespace

Lowered lower(const Graph& graph, Stream& stream, const FallbackSource& fallback, std::span<const Layout> input_layouts) {
  return Lowering(graph, stream, fallback, input_layouts).run();
}

std::string describe(const ScalarProgram& program) {
  std::string text;
  for (const bp_instr& instr : program.instrs) {
    if (instr.code == BP_S_CONST) continue;
    for (const OpDef* op : all_ops()) {
      if (op->tier != Tier::scalar || op->scalar_code != instr.code) continue;
      text += (text.empty() ? "" : " ") + std::string(op->name);
      break;
    }
  }
  return text.empty() ? "copy" : text;
}

}  // namespace backplane::graph
