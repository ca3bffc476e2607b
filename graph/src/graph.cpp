// SPDX-License-Identifier: Apache-2.0
#include "backplane/graph/graph.h"

#include <algorithm>
#include <cstring>

#include "backplane/graph/ops.h"

namespace backplane::graph {

namespace {

/// 64-bit mixing step (splitmix64's finaliser).
uint64_t mix(uint64_t h, uint64_t v) {
  h ^= v + 0x9e3779b97f4a7c15ull + (h << 6) + (h >> 2);
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ull;
  return h ^ (h >> 27);
}

uint64_t hash_bytes(const void* data, size_t bytes) {
  return std::hash<std::string_view>{}({static_cast<const char*>(data), bytes});
}

bool equal(const Literal* a, const Literal* b) {
  if (a == b) return true;
  return a != nullptr && b != nullptr && a->type == b->type && a->bytes == b->bytes;
}

bool equal(const ScalarProgram* a, const ScalarProgram* b) {
  if (a == b) return true;
  return a != nullptr && b != nullptr && a->num_inputs == b->num_inputs && a->outputs == b->outputs &&
         a->instrs.size() == b->instrs.size() &&
         std::memcmp(a->instrs.data(), b->instrs.data(), a->instrs.size() * sizeof(bp_instr)) == 0;
}

}  // namespace

Value Graph::add_input(Input::Kind kind, const Type& type, std::string name, uint64_t key) {
  const Cse saved = cse_;
  cse_ = Cse::off;
  const NodeId id = add(op::input, Attrs(op::input.name, op::input.attrs, {}), {}, loc, std::span(&type, 1));
  cse_ = saved;
  inputs_.push_back({kind, id, std::move(name), key});
  return {id, 0};
}

Node Graph::make_node(const OpDef& op, Attrs attrs, std::span<const Value> in, std::span<const Type> out, SourceLoc at) {
  Node node;
  node.op = &op;
  node.attrs = std::move(attrs);
  node.in = edges_.add(in);
  node.num_in = static_cast<uint32_t>(in.size());
  node.out = types_.add(out);
  node.num_out = static_cast<uint32_t>(out.size());
  node.loc = at;
  return node;
}

Value Graph::add_constant(std::shared_ptr<const Literal> literal) {
  const OpDef& op = op::constant;
  Attrs attrs(op.name, op.attrs, {});
  uint64_t key = 0;
  if (cse_ == Cse::on) {
    key = hash(op, attrs, {}, literal.get(), nullptr);
    const auto [first, last] = interned_.equal_range(key);
    for (auto it = first; it != last; ++it) {
      if (same(it->second, op, attrs, {}, literal.get(), nullptr)) return {it->second, 0};
    }
  }
  const Type type = literal->type;
  Node node = make_node(op, std::move(attrs), {}, std::span(&type, 1), loc);
  node.literal = std::move(literal);
  nodes_.push_back(std::move(node));
  const auto id = static_cast<NodeId>(nodes_.size() - 1);
  if (cse_ == Cse::on) interned_.emplace(key, id);
  return {id, 0};
}

NodeId Graph::add(const OpDef& op, Attrs attrs, std::span<const Value> inputs, SourceLoc at, std::span<const Type> types,
                  std::shared_ptr<const ScalarProgram> program) {
  std::vector<Value> sorted;
  if (cse_ == Cse::on && op.commutative && inputs.size() == 2) {
    sorted.assign(inputs.begin(), inputs.end());
    if (std::pair(sorted[1].node, sorted[1].out) < std::pair(sorted[0].node, sorted[0].out)) {
      std::swap(sorted[0], sorted[1]);
    }
  }
  const std::span<const Value> key_inputs = sorted.empty() ? inputs : std::span<const Value>(sorted);
  uint64_t key = 0;
  if (cse_ == Cse::on && op.pure) {
    key = hash(op, attrs, key_inputs, nullptr, program.get());
    const auto [first, last] = interned_.equal_range(key);
    for (auto it = first; it != last; ++it) {
      if (same(it->second, op, attrs, key_inputs, nullptr, program.get())) return it->second;
    }
  }
  std::vector<Type> inferred;
  if (types.empty()) {
    std::vector<Type> in;
    in.reserve(inputs.size());
    for (Value v : inputs) in.push_back(type(v));
    inferred = infer_types(op, attrs, in, at);
    types = inferred;
  }
  Node node = make_node(op, std::move(attrs), key_inputs, types, at);
  node.program = std::move(program);
  nodes_.push_back(std::move(node));
  const auto id = static_cast<NodeId>(nodes_.size() - 1);
  if (cse_ == Cse::on && op.pure) interned_.emplace(key, id);
  return id;
}

std::vector<Sym> Graph::apply(const OpDef& op, Attrs attrs, std::span<const Sym> inputs) {
  std::vector<Value> values;
  values.reserve(inputs.size());
  for (Sym s : inputs) {
    if (s.builder != this) fail_internal("[" + std::string(op.name) + "] an operand belongs to another builder");
    values.push_back(value(s));
  }
  const NodeId id = add(op, std::move(attrs), values, loc);
  std::vector<Sym> out;
  for (uint32_t i = 0; i < nodes_[id].num_out; ++i) out.push_back(sym({id, i}));
  return out;
}

Sym Graph::constant(const Type& type, std::vector<std::byte> bytes) {
  return sym(add_constant(std::make_shared<Literal>(Literal{type, std::move(bytes)})));
}

std::vector<Type> Graph::input_types(NodeId id) const {
  std::vector<Type> types;
  for (Value v : inputs_of(id)) types.push_back(type(v));
  return types;
}

uint64_t Graph::hash(const OpDef& op, const Attrs& attrs, std::span<const Value> in, const Literal* literal,
                     const ScalarProgram* program) const {
  uint64_t h = reinterpret_cast<uintptr_t>(&op);
  for (int64_t word : attrs.words()) h = mix(h, static_cast<uint64_t>(word));
  for (Value v : in) h = mix(h, (static_cast<uint64_t>(v.node) << 32) | v.out);
  if (literal != nullptr) h = mix(h, hash_bytes(literal->bytes.data(), literal->bytes.size()));
  if (program != nullptr) h = mix(h, hash_bytes(program->instrs.data(), program->instrs.size() * sizeof(bp_instr)));
  return h;
}

bool Graph::same(NodeId id, const OpDef& op, const Attrs& attrs, std::span<const Value> in, const Literal* literal,
                 const ScalarProgram* program) const {
  const Node& node = nodes_[id];
  const std::span<const Value> node_in = inputs_of(id);
  return node.op == &op && node.attrs == attrs && std::equal(in.begin(), in.end(), node_in.begin(), node_in.end()) &&
         equal(literal, node.literal.get()) && equal(program, node.program.get());
}

}  // namespace backplane::graph
