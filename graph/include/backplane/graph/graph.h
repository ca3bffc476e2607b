// SPDX-License-Identifier: Apache-2.0
// Graph: single static assignment, append-only, node ids topological by construction.
//
// Invariants
//  1. A node's inputs have smaller ids. Nothing is ever changed in place; a pass builds a new graph.
//  2. Pure nodes are hash-consed on request (`Graph(Cse::on)`): equal op, attributes and inputs give the same node.
//  3. References to nodes, types and operands stay valid while the graph lives, also while it grows.
//  4. Inputs (placeholders, variables, bound tensors) are nodes; what they stand for is in `inputs()`.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "backplane/graph/builder.h"
#include "backplane/graph/op_def.h"

namespace backplane::graph {

using NodeId = uint32_t;

struct Value {
  NodeId node = 0;
  uint32_t out = 0;
  friend bool operator==(const Value& a, const Value& b) = default;
};

/// Dense bytes of a constant.
struct Literal {
  Type type;
  std::vector<std::byte> bytes;
};

/// A scalar program as the payload of a fused pointwise node.
struct ScalarProgram {
  uint32_t num_inputs = 0;
  std::vector<bp_instr> instrs;
  std::vector<uint16_t> outputs;
  std::vector<DType> output_dtypes;
};

struct Node {
  const OpDef* op = nullptr;
  Attrs attrs;
  const Value* in = nullptr;  ///< `num_in` of them, in the graph's own storage
  const Type* out = nullptr;  ///< `num_out` of them
  uint32_t num_in = 0, num_out = 0;
  SourceLoc loc;
  std::shared_ptr<const Literal> literal;         ///< op constant
  std::shared_ptr<const ScalarProgram> program;   ///< op pointwise
};

/// What a graph input stands for.
struct Input {
  enum class Kind : uint8_t { placeholder, variable, bound };
  Kind kind = Kind::placeholder;
  NodeId node = 0;
  std::string name;
  uint64_t key = 0;                  ///< identity of the variable cell or bound tensor, chosen by the frontend
};

/// Grows in chunks: what was handed out never moves, so references stay good while nodes are added.
template <class T>
class StablePool {
 public:
  const T* add(std::span<const T> values) {
    if (chunks_.empty() || used_ + values.size() > capacity_) {
      capacity_ = values.size() > kChunk ? values.size() : kChunk;
      chunks_.push_back(std::make_unique<T[]>(capacity_));
      used_ = 0;
    }
    T* at = chunks_.back().get() + used_;
    for (size_t i = 0; i < values.size(); ++i) at[i] = values[i];
    used_ += values.size();
    return at;
  }

 private:
  static constexpr size_t kChunk = 256;
  std::vector<std::unique_ptr<T[]>> chunks_;
  size_t used_ = 0, capacity_ = 0;
};

class Graph final : public Builder {
 public:
  enum class Cse : uint8_t { off, on };
  explicit Graph(Cse cse = Cse::off) : cse_(cse) {}
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  // Building ---------------------------------------------------------------------------------------------------------
  Value add_input(Input::Kind kind, const Type& type, std::string name, uint64_t key = 0);
  Value add_constant(std::shared_ptr<const Literal> literal);
  /// Appends a node whose output types are known or to be inferred (types empty). Returns its id.
  NodeId add(const OpDef& op, Attrs attrs, std::span<const Value> inputs, SourceLoc loc, std::span<const Type> types = {},
             std::shared_ptr<const ScalarProgram> program = nullptr);
  void set_outputs(std::vector<Value> outputs) { outputs_ = std::move(outputs); }

  std::vector<Sym> apply(const OpDef& op, Attrs attrs, std::span<const Sym> inputs) override;
  Sym constant(const Type& type, std::vector<std::byte> bytes) override;
  const Type& type_of(Sym sym) const override { return type(value(sym)); }
  Sym sym(Value v) { return {this, v.node, v.out}; }
  Value value(Sym s) const { return {s.id, s.out}; }

  // Reading ----------------------------------------------------------------------------------------------------------
  size_t size() const { return nodes_.size(); }
  const Node& node(NodeId id) const { return nodes_[id]; }
  std::span<const Value> inputs_of(NodeId id) const { return {nodes_[id].in, nodes_[id].num_in}; }
  std::span<const Type> types_of(NodeId id) const { return {nodes_[id].out, nodes_[id].num_out}; }
  const Type& type(Value v) const { return nodes_[v.node].out[v.out]; }
  std::vector<Type> input_types(NodeId id) const;
  const std::vector<Input>& inputs() const { return inputs_; }
  const std::vector<Value>& outputs() const { return outputs_; }

 private:
  Node make_node(const OpDef& op, Attrs attrs, std::span<const Value> in, std::span<const Type> out, SourceLoc at);
  uint64_t hash(const OpDef& op, const Attrs& attrs, std::span<const Value> in, const Literal* literal,
                const ScalarProgram* program) const;
  bool same(NodeId id, const OpDef& op, const Attrs& attrs, std::span<const Value> in, const Literal* literal,
            const ScalarProgram* program) const;

  Cse cse_;
  std::deque<Node> nodes_;
  StablePool<Value> edges_;
  StablePool<Type> types_;
  std::vector<Input> inputs_;
  std::vector<Value> outputs_;
  std::unordered_multimap<uint64_t, NodeId> interned_;
};

/// What `outputs` need of a graph, with inputs of the given types (one per input, all inputs stay) and everything else
/// inferred anew: gives concrete shapes to a graph with unknown extents. Throws Error at the first op that does not fit.
std::unique_ptr<Graph> specialise(const Graph& graph, std::span<const Type> input_types, std::span<const Value> outputs);
/// One entry per node: whether `outputs` need it.
std::vector<bool> live_nodes(const Graph& graph, std::span<const Value> outputs);

/// One line per node: `%3 : f32[32,10] = softmax(%2) {axis=1}  # mnist.cpp:17`. parse() reads it back.
std::string to_text(const Graph& graph);
/// Throws Error naming line and column of what is wrong.
std::unique_ptr<Graph> parse_graph(std::string_view text);

}  // namespace backplane::graph
