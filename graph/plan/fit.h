// SPDX-License-Identifier: Apache-2.0
// Operations of the catalogue made from graph nodes, and how a device takes them.
#pragma once

#include <string>

#include "backplane/graph/graph.h"
#include "backplane/graph/runtime.h"

namespace backplane::graph {

/// How a device takes an operation: as it is, after some operands were made dense, in another dtype, or not at all.
struct Fit {
  bool accepted = false;
  uint32_t densify = 0;              ///< bit i: input i has to be copied to a dense tensor first
  uint32_t dtype = 0;                ///< BP_* that all float operands have to be cast to; 0 = none
  std::string reason;                ///< the plugin's, when it refuses
};

/// Asks the stream's device. On acceptance with `densify`, the op's descriptors are changed accordingly.
Fit fit(Stream& stream, KernelOp& op);

/// The layout of an operand of `type` seen with `shape`: missing and extent-1 axes repeat with stride 0.
Layout broadcast_layout(const Shape& from, const Layout& layout, const Shape& to);

/// Gives `op` a program: what a pointwise operation computes, or the epilogue of another one.
void set_program(KernelOp& op, const ScalarProgram& program);
/// `program` over `inputs`, all with the iteration shape of the outputs.
KernelOp pointwise_op(const ScalarProgram& program, std::span<const bp_tensor_desc> inputs,
                      std::span<const bp_tensor_desc> outputs);
/// Output equals the input.
ScalarProgram identity_program(DType dtype);
/// Output is a constant; no inputs.
ScalarProgram constant_program(DType dtype, double value);

/// How many of a node's operands are the op's own; the rest belong to its epilogue.
uint32_t own_inputs(const Node& node);
/// The node's `native` operation with the given layouts of its own operands; outputs are dense, there is no epilogue.
KernelOp native_op(const Graph& graph, NodeId id, std::span<const Layout> input_layouts);

/// Layouts of a graph's values as lowering will give them: views are metadata, all else is dense.
class Layouts {
 public:
  Layouts(const Graph& graph, std::span<const Layout> input_layouts) : graph_(graph), inputs_(input_layouts) {}
  Layout of(Value v);

 private:
  const Graph& graph_;
  std::span<const Layout> inputs_;
  std::vector<Layout> known_;  ///< of output 0, by node
  size_t next_input_ = 0;
};

}  // namespace backplane::graph
