// SPDX-License-Identifier: Apache-2.0
// POINTWISE: a scalar program over one joint walk of all operands. The axes are first put in the order of the first
// output's strides, so that operands that are permuted alike count as dense.
//
//   items    one work-item per position, for any strides; always there
//   vector   four neighbours per work-item, when every operand is dense or constant along the innermost axis
//   runs     long loops per work-item, which drivers for CPUs vectorise; tiles where an operand is transposed
//   fours    loops over vectors of four, for llvmpipe
#include <algorithm>
#include <numeric>

#include "backplane/sdk/program.hpp"
#include "dialect.h"
#include "family.h"
#include "program_text.h"
#include "source.h"
#include "walk.h"

namespace backplane::codegen {
namespace {

std::string numbered(std::string_view name, size_t n) { return std::string(name) + std::to_string(n); }

/// The joint walk of inputs, then outputs, outermost first; axes by descending stride of the first output.
Walk joint_walk(const bp_op& op) {
  std::vector<bp_tensor_desc> descs(op.inputs, op.inputs + op.num_inputs);
  descs.insert(descs.end(), op.outputs, op.outputs + op.num_outputs);
  const bp_tensor_desc& y = op.outputs[0];
  std::vector<uint32_t> order(y.rank);
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return std::abs(y.strides[a]) > std::abs(y.strides[b]); });
  std::vector<const bp_tensor_desc*> pointers;
  for (bp_tensor_desc& desc : descs) {
    const bp_tensor_desc before = desc;
    for (uint32_t axis = 0; axis < y.rank; ++axis) {
      desc.shape[axis] = before.shape[order[axis]];
      desc.strides[axis] = before.strides[order[axis]];
    }
    pointers.push_back(&desc);
  }
  return merge_axes(pointers, 0, y.rank);
}

/// A walk without its innermost axis, and that axis.
struct Rows {
  Walk outer;
  int64_t inner = 1;
  std::vector<int64_t> strides;  ///< [operand], along the innermost axis
};

Rows split_rows(const Walk& walk) {
  Rows rows{.outer = walk, .strides = std::vector<int64_t>(walk.strides.size(), 0)};
  if (walk.extents.empty()) return rows;
  rows.inner = walk.extents.back();
  rows.outer.extents.pop_back();
  for (size_t o = 0; o < walk.strides.size(); ++o) {
    rows.strides[o] = walk.strides[o].back();
    rows.outer.strides[o].pop_back();
  }
  rows.outer.count = rows.inner == 0 ? 0 : walk.count / rows.inner;
  return rows;
}

bool is_vector(const bp_op& op, const Rows& rows) {
  for (size_t o = 0; o < rows.strides.size(); ++o) {
    const bool output = o >= op.num_inputs;
    if (rows.strides[o] != 1 && (output || rows.strides[o] != 0)) return false;
    for (const int64_t stride : rows.outer.strides[o]) {
      if (rows.strides[o] == 1 && stride % 4 != 0) return false;  // what LOAD4 and STORE4 ask for
    }
  }
  return true;
}

/// The texts around one program: declarations, loads, statements and stores.
class PointwiseText {
 public:
  PointwiseText(Source& source, const bp_op& op) : source_(source), op_(op) {
    for (uint32_t i = 0; i < op.num_inputs; ++i) {
      source.input(name(i), i, op.inputs[i]);
      dtypes_.push_back(op.inputs[i].dtype);
    }
    for (uint32_t i = 0; i < op.num_outputs; ++i) source.output(name(op.num_inputs + i), i, op.outputs[i]);
  }

  /// LOCATE(position): declares every operand's offset o0, o1, ... at a position of `walk`.
  void locate(const Walk& walk) {
    declare_walk(source_, "WALK", walk);
    std::string offsets;
    for (size_t o = 0; o < walk.strides.size(); ++o) offsets += numbered(", o", o);
    source_.define("LOCATE(position)", "WALK(position" + offsets + ")");
  }

  /// ELEMENT at the offsets, or j steps of `strides` behind them; UNIFORM loads what does not depend on j.
  void element(const std::vector<int64_t>* strides) {
    std::string uniform;
    std::vector<std::string> loads, places;
    for (size_t o = 0; o < operands(); ++o) {
      const std::string place = numbered("o", o) + (strides != nullptr ? step(o, (*strides)[o]) : "");
      places.push_back(place);
      if (o >= op_.num_inputs) continue;
      loads.push_back("LOAD_" + name(o) + "(" + place + ")");
      if (strides == nullptr || (*strides)[o] != 0) continue;
      uniform += std::string(compute_type(dtypes_[o])) + numbered(" bp_u", o) + " = " + loads.back() + "; ";
      loads.back() = numbered("bp_u", o);
    }
    const ProgramText program = program_text(source_, *op_.program, dtypes_.data(), loads);
    std::string text = program.statements;
    for (size_t j = 0; j < op_.num_outputs; ++j) {
      text += "STORE_" + name(op_.num_inputs + j) + "(" + places[op_.num_inputs + j] + ", " + program.outputs[j] + "); ";
    }
    source_.define("UNIFORM", uniform);
    source_.define("ELEMENT", text);
  }

  /// FOUR: the elements j ... j + 3 of a row whose operands are dense or, with stride 0, loaded by UNIFORM.
  void four(const std::vector<int64_t>& strides) {
    std::string text;
    for (size_t o = 0; o < operands(); ++o) {
      if (!packed(o) || strides[o] == 0) continue;
      source_.vectors(name(o));
      if (o >= op_.num_inputs) continue;
      text += numbered("float4 bp_x", o) + " = LOAD4_" + name(o) + "(" + numbered("o", o) + " + j); ";
    }
    std::vector<ProgramText> lanes;
    for (size_t lane = 0; lane < 4; ++lane) {
      std::vector<std::string> loads;
      for (size_t o = 0; o < op_.num_inputs; ++o) {
        if (strides[o] == 0) loads.push_back(numbered("bp_u", o));
        else if (packed(o)) loads.push_back(numbered("bp_x", o) + "." + "xyzw"[lane]);
        else loads.push_back("LOAD_" + name(o) + numbered("(o", o) + " + j + " + std::to_string(lane) + ")");
      }
      lanes.push_back(program_text(source_, *op_.program, dtypes_.data(), loads, numbered("bp_l", lane) + "_"));
      text += lanes.back().statements;
    }
    for (size_t j = 0; j < op_.num_outputs; ++j) {
      const size_t o = op_.num_inputs + j;
      const std::string at = "(" + numbered("o", o) + " + j";
      if (packed(o)) {
        text += "STORE4_" + name(o) + at + ", make_float4(" + lanes[0].outputs[j] + ", " + lanes[1].outputs[j] + ", " +
                lanes[2].outputs[j] + ", " + lanes[3].outputs[j] + ")); ";
        continue;
      }
      for (size_t lane = 0; lane < 4; ++lane) {
        text += "STORE_" + name(o) + at + " + " + std::to_string(lane) + ", " + lanes[lane].outputs[j] + "); ";
      }
    }
    source_.define("FOUR", text);
  }

 private:
  size_t operands() const { return op_.num_inputs + op_.num_outputs; }
  std::string name(size_t o) const {
    return o < op_.num_inputs ? numbered("bp_in", o) : numbered("bp_out", o - op_.num_inputs);
  }
  /// Whether LOAD4 and STORE4 exist for the operand's dtype.
  bool packed(size_t o) const {
    const uint32_t dtype = o < op_.num_inputs ? dtypes_[o] : op_.outputs[o - op_.num_inputs].dtype;
    return sdk::is_float(dtype) && dtype != BP_F64;
  }
  std::string step(size_t o, int64_t stride) {
    if (stride == 0) return "";
    if (stride == 1) return " + j";
    source_.param(numbered("step", o), stride);
    return " + j * " + numbered("step", o);
  }

  Source& source_;
  const bp_op& op_;
  std::vector<uint32_t> dtypes_;
};

/// Where a launch takes as long as hundreds of elements and each texel buffer that is bound as long as tens (llvmpipe).
bool is_over_at_once(const Walk& walk, const DeviceFacts& facts) {
  return facts.cpu_like && facts.dialect == Dialect::glsl && walk.count <= 256;
}

Recipe build_items(const bp_op& op, const DeviceFacts& facts) {
  const Walk walk = joint_walk(op);
  Source source(facts, "pointwise.items");
  if (is_over_at_once(walk, facts)) source.without_texel_buffers();
  PointwiseText text(source, op);
  source.param("total", walk.count);
  text.locate(walk);
  text.element(nullptr);
  const LinearGrid grid = linear_grid(walk.count, facts);
  return {{source.finish(kernel_text("pointwise_items"), grid.group, grid.grid)}};
}

Recipe build_vector(const bp_op& op, const DeviceFacts& facts) {
  const Rows rows = split_rows(joint_walk(op));
  Source source(facts, "pointwise.vector");
  PointwiseText text(source, op);
  const int64_t fours = (rows.inner + 3) / 4, total = rows.outer.count * fours;
  source.param("total", total);
  source.param("fours", fours);
  source.param("inner", rows.inner);
  text.locate(rows.outer);
  text.element(&rows.strides);
  text.four(rows.strides);
  const LinearGrid grid = linear_grid(total, facts);
  return {{source.finish(kernel_text("pointwise_vector"), grid.group, grid.grid)}};
}

/// Compilers compare up to 8 pairs of addresses before a loop that they turn into vector code; beyond, they have to be
/// told that iterations are independent. They grumble where they cannot make use of it.
bool wants_hint(const bp_op& op, const DeviceFacts& facts) {
  const auto plain = [](const bp_tensor_desc& desc) { return desc.dtype == BP_F32 || desc.dtype == BP_I32; };
  const uint32_t pairs = op.num_outputs * op.num_inputs + op.num_outputs * (op.num_outputs - 1) / 2;
  return pairs > 8 && is_vectorisable(*op.program, facts) && std::all_of(op.inputs, op.inputs + op.num_inputs, plain) &&
         std::all_of(op.outputs, op.outputs + op.num_outputs, plain);
}

/// What a work-item of the runs form covers: `run` elements of each of `rows` rows, in vectors of four or one by one.
struct Tile {
  int64_t run, rows;
  bool fours;
};

Recipe build_runs(const bp_op& op, const DeviceFacts& facts, const Tile& tile) {
  const Rows rows = split_rows(joint_walk(op));
  Source source(facts, "pointwise.runs");
  PointwiseText text(source, op);
  const int64_t parts = (rows.inner + tile.run - 1) / tile.run;
  const int64_t rows_per_item = std::max(tile.rows, tile.run / rows.inner);
  const int64_t total = parts * ((rows.outer.count + rows_per_item - 1) / rows_per_item);
  source.param("total", total);
  source.param("parts", parts);
  source.param("run", tile.run);
  source.param("inner", rows.inner);
  source.param("rows", rows.outer.count);
  source.param("rows_per_item", rows_per_item);
  text.locate(rows.outer);
  text.element(&rows.strides);
  if (tile.fours) text.four(rows.strides);
  source.define("FOURS", tile.fours ? 1 : 0);
  source.define("LOOP", wants_hint(op, facts) ? "INDEPENDENT_ITERATIONS" : "");
  const LinearGrid grid = linear_grid(total, facts, facts.dialect == Dialect::opencl_c ? 1 : 32);
  return {{source.finish(kernel_text("pointwise_runs"), grid.group, grid.grid)}};
}

/// An operand whose neighbours lie on another axis than the innermost: tiles use what a cache line brings.
bool is_transposed(const Rows& rows) {
  return rows.outer.count > 1 && std::any_of(rows.strides.begin(), rows.strides.end(),
                                             [](int64_t stride) { return stride != 0 && stride != 1; });
}

void list(const bp_op& op, const DeviceFacts& facts, Variants& out) {
  const Rows rows = split_rows(joint_walk(op));
  const auto add = [&](std::string name, double prior, auto build) {
    out.push_back({.name = std::move(name), .prior = prior, .determinism = BP_DETERMINISM_BATCH, .build = build});
  };
  const auto add_runs = [&](std::string name, double prior, const Tile& tile) {
    add(std::move(name), prior, [&op, facts, tile] { return build_runs(op, facts, tile); });
  };
  const auto add_items = [&] { add("items", out.empty() ? 1 : 1.5, [&op, facts] { return build_items(op, facts); }); };
  const bool few = is_over_at_once(joint_walk(op), facts);
  const bool vector = is_vector(op, rows) && op.program->num_instrs <= 32;
  const bool loops = facts.cpu_like && facts.dialect == Dialect::opencl_c;
  if (few) add_items();
  if (loops && is_transposed(rows)) add_runs("runs@elements=32,rows=32", 1, {32, 32, false});
  if (loops) {
    add_runs("runs@elements=4096", 1, {4096, 1, false});
    add_runs("runs@elements=32768", 1, {32768, 1, false});
  } else if (facts.cpu_like && vector && rows.outer.count * rows.inner >= 4096) {
    add_runs("fours@elements=64", 1, {64, 1, true});
  }
  if (vector) add("vector@width=4", few ? 1.2 : 1, [&op, facts] { return build_vector(op, facts); });
  if (!few) add_items();
}

}  // namespace

extern const Family kPointwiseFamily{BP_OP_POINTWISE, nullptr, list};

}  // namespace backplane::codegen
