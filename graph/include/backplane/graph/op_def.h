// SPDX-License-Identifier: Apache-2.0
// Everything about an operation in one struct. Passes, plugins and modes look at these fields and never at the name.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "backplane/graph/attrs.h"
#include "backplane/graph/builder.h"
#include "backplane/graph/types.h"
#include "backplane/host/kernel_op.h"
#include "backplane/plugin.h"

namespace backplane::graph {

using host::KernelOp;

/// How an op comes to be executed.
enum class Tier : uint8_t {
  source,     ///< input, constant, full: a value that is just there
  view,       ///< metadata only: `view` maps layouts
  scalar,     ///< one instruction of a scalar program; operands broadcast
  primitive,  ///< an operation of the plugin catalogue that every device has to have: `native`
  assemble,   ///< an output put together from pieces by strided copies: `pieces`
  composite,  ///< `decompose`, and perhaps `native` where a device has it
  deferred,   ///< expanded when shapes are known (gradients)
};

/// What pointwise fusion may do with it.
enum class Fusion : uint8_t { opaque, elementwise, reduction, contraction };

/// What of itself an op's VJP reads; eager history keeps only that. Checked by running VJPs with the rest poisoned.
enum class Saves : uint8_t { inputs_and_outputs, inputs, outputs, nothing };

/// What gradients do at an op without `vjp` and without `decompose`.
enum class Gradient : uint8_t {
  flows,    ///< through vjp, or else through the decomposition
  blocked,  ///< zero almost everywhere or not defined (floor, argmax, comparisons): nothing flows
};

struct InferArgs {
  std::string_view op;
  const Attrs& attrs;
  std::span<const Type> in;
  SourceLoc loc;
  /// Throws Error about this op with these operands.
  [[noreturn]] void fail(std::string_view what, std::string_view suggestion = {}) const {
    backplane::fail(op, what, in, loc, suggestion);
  }
};

struct DecomposeArgs {
  Builder& builder;
  const Attrs& attrs;
  std::span<const Sym> in;
};

struct VjpArgs {
  Builder& builder;
  const Attrs& attrs;
  std::span<const Sym> in;
  std::span<const Sym> out;
  std::span<const Sym> dy;      ///< empty Sym where no gradient arrives; at least one is there
  std::span<const bool> wants;  ///< which inputs need a gradient
  std::vector<Sym> dx;          ///< to be filled, one per input; empty Sym = none. May have the shape that the input was
                                ///< broadcast to: the driver sums it back.
};

/// How an op is offered to a device as one operation of the catalogue. `encode` fills `code` and attributes; descriptors
/// are the node's operands in their order, unless `operands` rearranges them.
struct NativeSpec {
  uint32_t code = 0;  ///< BP_OP_*, 0 = none
  void (*encode)(const Attrs& attrs, std::span<const Type> in, std::span<const Type> out, KernelOp& op) = nullptr;
};

/// One strided copy of an `assemble` op: input `source` (or the fill value when < 0) goes to the window of the output
/// that starts at `start` with extents `extent` and steps `step`. Pieces are written in order; later ones win.
struct Piece {
  int source = -1;
  double fill = 0;
  Shape start, extent, step;
};

struct Cost {
  double flops = 0;  ///< arithmetic operations; a multiply-add counts 2
  double bytes = 0;  ///< each input read once, each output written once
};

/// Random operands for tests and benchmarks.
struct SampleInput {
  Type type;
  double low = -2, high = 2;  ///< uniform in [low, high); integers likewise
};
struct Sample {
  std::vector<SampleInput> inputs;
  std::vector<AttrArg> attrs;
  bool gradcheck = true;  ///< values where the op is smooth: compare the VJP with central differences
};

struct OpDef {
  std::string_view name;
  std::string_view doc;  ///< formula with operand names and shapes
  int min_inputs = 1;
  int max_inputs = 1;  ///< -1 = any number
  int outputs = 1;
  std::vector<AttrSpec> attrs;
  Tier tier = Tier::composite;
  Fusion fusion = Fusion::opaque;

  /// Types of the outputs; throws through InferArgs::fail.
  std::vector<Type> (*infer)(const InferArgs& args) = nullptr;
  /// composite: the same value from simpler ops.
  std::vector<Sym> (*decompose)(const DecomposeArgs& args) = nullptr;
  /// Reverse mode in forward ops. Without it `decompose` is differentiated.
  void (*vjp)(VjpArgs& args) = nullptr;
  Gradient gradient = Gradient::flows;
  bool smooth = true;  ///< second derivatives by differences make sense

  NativeSpec native;
  uint16_t scalar_code = 0;    ///< tier scalar: BP_S_*; a cast takes its dtype from attribute "dtype"
  bool promotes = false;       ///< the frontend casts operands to their common dtype first
  bool commutative = false;    ///< operand order does not matter (CSE)
  bool in_place = false;       ///< output 0 may overwrite an equally typed dense input
  Saves saves = Saves::inputs_and_outputs;
  bool pure = true;            ///< equal inputs give equal outputs; false for `input`

  /// view: where the result lies inside the same buffer; nothing when the strides do not allow it (copy first).
  std::optional<Layout> (*view)(const Attrs& attrs, const Type& in, const Layout& layout, const Type& out) = nullptr;
  /// assemble
  std::vector<Piece> (*pieces)(const Attrs& attrs, std::span<const Type> in, const Type& out) = nullptr;

  Cost (*cost)(const Attrs& attrs, std::span<const Type> in, std::span<const Type> out) = nullptr;
  std::vector<Sample> (*samples)() = nullptr;
};

/// All ops. Composites refer only to ops earlier in the list.
std::span<const OpDef* const> all_ops();
/// nullptr when there is none.
const OpDef* find_op(std::string_view name);
/// Bytes of all operands and one flop per output element, unless the op says otherwise.
Cost cost_of(const OpDef& op, const Attrs& attrs, std::span<const Type> in, std::span<const Type> out);
/// Infers with all the checks that do not depend on the op (arity, dynamic dimensions).
std::vector<Type> infer_types(const OpDef& op, const Attrs& attrs, std::span<const Type> in, SourceLoc loc);

}  // namespace backplane::graph
