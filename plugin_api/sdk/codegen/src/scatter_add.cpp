// SPDX-License-Identifier: Apache-2.0
// SCATTER_ADD.
//
//   owners   a work-item owns a few columns of a range of rows of y and adds to them in the order of the indices: the same
//            bits in every run. More ranges give the device more to do, but every range reads all indices.
//   atomics  a copy of base, then an atomic addition per update; f32 on devices that have it
#include <algorithm>

#include "backplane/sdk/program.hpp"
#include "dialect.h"
#include "family.h"
#include "source.h"
#include "walk.h"

namespace backplane::codegen {
namespace {

/// " * name" behind a coordinate; strides of 0 and 1 are part of the text.
std::string step(Source& source, std::string_view name, int64_t stride) {
  if (stride == 1) return "";
  if (stride == 0) return "* 0";
  source.param(name, stride);
  return "* " + std::string(name);
}

void declare_updates(Source& source, const bp_op& op) {
  const bp_tensor_desc &indices = op.inputs[1], &updates = op.inputs[2], &y = op.outputs[0];
  source.input("indices", 1, indices);
  source.input("updates", 2, updates);
  source.output("y", 0, y);
  source.define("INDEX", compute_type(indices.dtype));
  source.param("n", y.shape[1]);
  source.param("inner", y.shape[2]);
  source.param("picks", updates.shape[1]);
  source.param("index_stride", indices.strides[0]);
  source.param("y_s0", y.strides[0]);
  source.param("y_s1", y.strides[1]);
  source.param("u_s0", updates.strides[0]);
  source.param("u_s1", updates.strides[1]);
  source.define("Y_STEP", step(source, "y_s2", y.strides[2]));
  source.define("U_STEP", step(source, "u_s2", updates.strides[2]));
}

std::string_view sum(uint32_t dtype) {
  if (dtype == BP_I32) return "TO_INT(TO_UINT(a) + TO_UINT(b))";
  return dtype == BP_I64 ? "TO_I64(TO_U64(a) + TO_U64(b))" : "((a) + (b))";
}

struct Plan {
  int64_t block, ranges;
};

/// The updates [first, last); the launch of the first ones also copies base.
Launch build_owners_part(const bp_op& op, const DeviceFacts& facts, const Plan& plan, int64_t first, int64_t last) {
  const bp_tensor_desc &base = op.inputs[0], &y = op.outputs[0];
  Source source(facts, "scatter_add.owners");
  source.define("COPY", first == 0 ? 1 : 0);
  if (first == 0) source.input("base", 0, base);
  declare_updates(source, op);
  source.define("SUM(a, b)", sum(y.dtype));
  if (first == 0) {
    source.param("base_s0", base.strides[0]);
    source.param("base_s1", base.strides[1]);
    source.define("BASE_STEP", step(source, "base_s2", base.strides[2]));
  }
  const int64_t blocks = (y.shape[2] + plan.block - 1) / plan.block, total = y.shape[0] * plan.ranges * blocks;
  source.param("total", total);
  source.param("block", plan.block);
  source.param("blocks", blocks);
  source.param("ranges", plan.ranges);
  source.param("range", (y.shape[1] + plan.ranges - 1) / plan.ranges);
  source.param("first_pick", first);
  source.param("last_pick", last);
  const LinearGrid grid = linear_grid(total, facts, plan.block > 1 ? 1 : 0);
  return source.finish(kernel_text("scatter_add_owners"), grid.group, grid.grid);
}

/// What a work-item may copy or look at in one launch: each costs a step of a loop, and one of the loop inside.
int64_t most_steps(const DeviceFacts& facts) { return facts.max_loop_steps / 4; }

Recipe build_owners(const bp_op& op, const DeviceFacts& facts, const Plan& plan) {
  const int64_t picks = op.inputs[2].shape[1], most = most_steps(facts);
  Recipe recipe;
  int64_t first = 0;
  do {
    const int64_t last = std::min(picks, first + most);
    recipe.launches.push_back(build_owners_part(op, facts, plan, first, last));
    first = last;
  } while (first < picks);
  return recipe;
}

Launch copy_base(const bp_op& op, const DeviceFacts& facts) {
  Source source(facts, "scatter_add.copy");
  source.input("base", 0, op.inputs[0]);
  source.output("y", 0, op.outputs[0]);
  const Walk walk = merge_axes({&op.inputs[0], &op.outputs[0]}, 0, 3);
  source.param("total", walk.count);
  declare_walk(source, "WALK", walk);
  source.define("LOCATE(i)", "WALK(i, base_i, y_i)");
  source.define("ELEMENT", "STORE_y(y_i, LOAD_base(base_i));");
  const LinearGrid grid = linear_grid(walk.count, facts);
  return source.finish(kernel_text("pointwise_items"), grid.group, grid.grid);
}

Recipe build_atomics(const bp_op& op, const DeviceFacts& facts) {
  const bp_tensor_desc& updates = op.inputs[2];
  Recipe recipe{{copy_base(op, facts)}};
  const int64_t total = updates.shape[0] * updates.shape[1] * updates.shape[2];
  if (total == 0) return recipe;
  Source source(facts, "scatter_add.atomics");
  declare_updates(source, op);
  source.param("total", total);
  source.define("ATOMIC_ADD_y(i, v)",
                facts.dialect == Dialect::glsl ? "atomicAdd(y[y_at + (i)], v)" : "atomicAdd(y + y_at + (i), v)");
  const LinearGrid grid = linear_grid(total, facts);
  recipe.launches.push_back(source.finish(kernel_text("scatter_add_atomics"), grid.group, grid.grid));
  return recipe;
}

void list(const bp_op& op, const DeviceFacts& facts, Variants& out) {
  const bp_tensor_desc& y = op.outputs[0];
  const bool loops = facts.cpu_like && facts.dialect == Dialect::opencl_c;
  const int64_t block = loops ? std::min<int64_t>(y.shape[2], 256) : 1;
  const int64_t owners = y.shape[0] * ((y.shape[2] + block - 1) / block);
  const int64_t wanted = static_cast<int64_t>(facts.compute_units) * (loops ? 2 : 256);
  const int64_t least = (y.shape[1] + most_steps(facts) - 1) / most_steps(facts);
  const int64_t needed = std::clamp<int64_t>((wanted + owners - 1) / owners, least, y.shape[1]);
  const auto add = [&](int64_t ranges, double prior) {
    out.push_back({.name = "owners@ranges=" + std::to_string(ranges),
                   .prior = prior,
                   .build = [&op, facts, plan = Plan{block, ranges}] { return build_owners(op, facts, plan); }});
  };
  add(needed, 1);
  if (needed != y.shape[1] && y.shape[1] <= 4096) add(y.shape[1], 1.5);
  if (needed != least) add(least, 2);
  if (y.dtype == BP_F32 && facts.atomic_add_f32 && facts.dialect != Dialect::opencl_c) {
    out.push_back({.name = "atomics",
                   .prior = 1,
                   .notes = BP_NOTE_ATOMICS,
                   .determinism = BP_DETERMINISM_NONE,
                   .build = [&op, facts] { return build_atomics(op, facts); }});
  }
}

}  // namespace

extern const Family kScatterAddFamily{BP_OP_SCATTER_ADD, nullptr, list};

}  // namespace backplane::codegen
