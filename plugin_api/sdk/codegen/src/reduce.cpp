// SPDX-License-Identifier: Apache-2.0
// REDUCE. Two walks: over the kept axes (a position is a result) and over the reduced ones, whose row-major order is the
// order of ARGMAX's index.
//
//   items      a work-item per result: many results, or results side by side (columns)
//   groups     a work-group per result, folded in local memory; subgroups: a subgroup per result, folded by shuffles
//   lanes      CPU drivers: accumulators side by side, along the reduced axis (rows) or over results (columns)
//   ...@split  for few results: parts of the reduced range first, merged in order by a second launch (deterministic)
#include <algorithm>

#include "backplane/sdk/op.hpp"
#include "backplane/sdk/program.hpp"
#include "dialect.h"
#include "epilogue.h"
#include "family.h"
#include "reduction.h"
#include "source.h"
#include "team.h"
#include "walk.h"

namespace backplane::codegen {
namespace {

enum class Form { items, groups, subgroups, lane_rows, lane_columns };

struct Plan {
  Form form = Form::items;
  int64_t parts = 1;   ///< > 1: two launches
  uint32_t width = 1;  ///< work-items of a group, or lanes
};

/// What all forms declare: x, where results or their parts go, and the two walks. With `by_rows` the reduced walk stops
/// before its innermost axis, which the kernel crosses by steps.
void declare_common(Source& source, const Reduction& p, int64_t parts, const Walk& kept, bool by_rows) {
  source.input("x", 0, p.op.inputs[0]);
  declare_reduction(source, p);
  source.define("PARTIAL", parts > 1 ? 1 : 0);
  if (parts > 1) declare_parts(source, p, parts, true);
  else declare_epilogue(source, p.op, {0});
  declare_walk(source, "KEPT", kept);
  declare_walk(source, "REDUCED", by_rows ? without_inner(p.reduced) : p.reduced);
  source.param("results", p.kept.count);
  source.param("reduced", p.reduced.count);
  if (!by_rows) return;
  source.param("inner", p.reduced_inner());
  const int64_t stride = p.reduced_stride();
  if (stride != 0 && stride != 1) source.param("step", stride);
  source.define("STEP", stride == 1 ? "" : stride == 0 ? "* 0" : "* step");
}

int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

Launch build_items(const Reduction& p, const DeviceFacts& facts, const Plan& plan) {
  Source source(facts, "reduce.items");
  declare_common(source, p, plan.parts, p.kept, true);
  source.param("part_length", ceil_divide(p.reduced.count, plan.parts));
  source.param("total", p.kept.count * plan.parts);
  const LinearGrid grid = linear_grid(p.kept.count * plan.parts, facts);
  return source.finish(kernel_text("reduce_items"), grid.group, grid.grid);
}

Launch build_teams(const Reduction& p, const DeviceFacts& facts, const Plan& plan) {
  const bool subgroups = plan.form == Form::subgroups;
  Source source(facts, subgroups ? "reduce.subgroups" : "reduce.groups");
  declare_common(source, p, plan.parts, p.kept, false);
  source.param("part_length", ceil_divide(p.reduced.count, plan.parts));
  source.param("units", p.kept.count * plan.parts);
  source.define("SUBGROUPS", subgroups ? 1 : 0);
  if (subgroups) {
    declare_subgroup(source);
  } else {
    source.local_array(compute_type(p.accumulator), "bp_shared", "GROUP_X");
    if (p.arg()) source.local_array("int", "bp_shared_at", "GROUP_X");
  }
  const LinearGrid grid =
      team_grid(p.kept.count * plan.parts, subgroups ? Team::subgroup : Team::group, plan.width, facts);
  return source.finish(kernel_text("reduce_teams"), grid.group, grid.grid);
}

Launch build_lanes(const Reduction& p, const DeviceFacts& facts, const Plan& plan) {
  const bool columns = plan.form == Form::lane_columns;
  Source source(facts, columns ? "reduce.columns" : "reduce.rows");
  declare_common(source, p, plan.parts, columns ? without_inner(p.kept) : p.kept, !columns);
  const int64_t rows = p.reduced.count == 0 ? 0 : p.reduced.count / p.reduced_inner();
  const bool split_row = !columns && rows <= 1;
  source.param("part_length", ceil_divide(columns || split_row ? p.reduced.count : rows, plan.parts));
  source.define("LANES", plan.width);
  source.define("COLUMNS", columns ? 1 : 0);
  source.define("SPLIT_ROW", split_row ? 1 : 0);
  const int64_t blocks_per_row = ceil_divide(p.kept_inner(), plan.width);
  const int64_t blocks = columns ? p.kept.count / p.kept_inner() * blocks_per_row : p.kept.count;
  source.param("blocks", blocks);
  source.param("total", blocks * plan.parts);
  if (columns) {
    source.param("blocks_per_row", blocks_per_row);
    source.param("kept_inner", p.kept_inner());
  } else {
    source.param("rows", split_row ? p.reduced.count : rows);
  }
  const LinearGrid grid = linear_grid(blocks * plan.parts, facts, 1);
  return source.finish(kernel_text("reduce_lanes"), grid.group, grid.grid);
}

Launch build_merge(const Reduction& p, const DeviceFacts& facts, const Plan& plan) {
  Source source(facts, "reduce.merge");
  declare_reduction(source, p);
  declare_parts(source, p, plan.parts, false);
  declare_epilogue(source, p.op, {0});
  source.param("results", p.kept.count);
  source.param("parts", plan.parts);
  const LinearGrid grid = linear_grid(p.kept.count, facts);
  return source.finish(kernel_text("reduce_merge"), grid.group, grid.grid);
}

Recipe build(const bp_op& op, const DeviceFacts& facts, const Plan& plan) {
  const Reduction p(op);
  const bool teams = plan.form == Form::groups || plan.form == Form::subgroups;
  Recipe recipe{{plan.form == Form::items ? build_items(p, facts, plan)
                 : teams                  ? build_teams(p, facts, plan)
                                          : build_lanes(p, facts, plan)}};
  if (plan.parts > 1) recipe.launches.push_back(build_merge(p, facts, plan));
  return recipe;
}

/// How many parts give the device enough to do: about `wanted` units of at least `least` elements.
int64_t parts_for(const Reduction& p, int64_t units, int64_t wanted, int64_t least) {
  const int64_t parts = std::min(wanted / std::max<int64_t>(units, 1), p.reduced.count / least);
  return std::clamp<int64_t>(parts, 1, 256);
}

class Lister {
 public:
  Lister(const bp_op& op, const DeviceFacts& facts, Variants& out) : p_(op), facts_(facts), out_(out) {}

  void cpu() {
    const bool columns = p_.kept_stride() == 1 && p_.kept_inner() > 1 && p_.reduced_stride() != 1;
    const int64_t units = 4 * static_cast<int64_t>(facts_.compute_units);
    if (columns) {
      const uint32_t width = p_.kept_inner() >= 256 ? 256 : 64;
      const int64_t blocks = p_.kept.count / p_.kept_inner() * ((p_.kept_inner() + width - 1) / width);
      add(Form::lane_columns, parts_for(p_, blocks, units, 64), width);
      return;
    }
    if (p_.reduced_inner() < 16) return;
    const int64_t rows = p_.reduced.count / std::max<int64_t>(p_.reduced_inner(), 1);
    const int64_t parts = parts_for(p_, p_.kept.count, units, 16384);
    add(Form::lane_rows, rows <= 1 ? parts : std::min(parts, rows), 64);
  }

  void general() {
    const bool columns = p_.kept_stride() == 1 && p_.reduced_stride() != 1;
    // On llvmpipe, where few lanes fill a core and a second launch costs as much as thousands of elements, subgroups win
    // along long rows only, and not where a row consists of several axes (measured, docs/vulkan.md).
    const bool llvmpipe = facts_.cpu_like && facts_.dialect == Dialect::glsl;
    const bool long_rows = !llvmpipe || (p_.reduced.count >= 192 && p_.reduced.extents.size() <= 1);
    const int64_t units = static_cast<int64_t>(facts_.compute_units);
    const int64_t fill = (llvmpipe ? 256 : 512) * units;  // work-items that keep the device busy
    const uint32_t group = group_size(facts_, 256, 16);
    const int64_t split_items = parts_for(p_, p_.kept.count, llvmpipe ? 64 * units : fill, 32);
    const int64_t split_teams = parts_for(p_, p_.kept.count, fill, 32) / std::max(facts_.subgroup_size, 1u);
    const int64_t split_groups = parts_for(p_, p_.kept.count, 4 * units, 4096);
    const bool many = columns || p_.reduced.count <= 16;
    if (!many && facts_.cpu_like && p_.reduced_stride() == 1 && long_rows) subgroups(split_teams);
    if (many || facts_.cpu_like) items(split_items);
    if (p_.reduced.count <= 1024) subgroups(1);
    if (group >= 2) {
      const bool barriers_are_dear = facts_.cpu_like && facts_.dialect == Dialect::opencl_c;  // never worth a second try
      if (split_groups > 1 && !barriers_are_dear) add(Form::groups, split_groups, group);
      add(Form::groups, 1, group);
    }
    subgroups(1);
    items(split_items);
  }

  void fallback() {
    if (!items_listed_) add(Form::items, 1, 1);
  }

 private:
  void items(int64_t split) {
    if (split > 1) add(Form::items, split, 1);
    add(Form::items, 1, 1);
  }
  void subgroups(int64_t parts) {
    const uint32_t group = group_size(facts_, 256);
    if (can_shuffle()) add(Form::subgroups, std::max<int64_t>(parts, 1), std::max(group, facts_.subgroup_size));
  }
  bool can_shuffle() const {
    return facts_.subgroup_shuffle && facts_.subgroup_size > 1 && facts_.max_group_size >= facts_.subgroup_size &&
           (p_.accumulator == BP_F32 || p_.accumulator == BP_I32);
  }
  void add(Form form, int64_t parts, uint32_t width) {
    // Half of the steps that a work-item may make, since rows of the walk take steps of their own.
    const int64_t sharing = form == Form::groups ? width : form == Form::subgroups ? facts_.subgroup_size : 1;
    const int64_t steps = sharing * (facts_.max_loop_steps / 2);
    const int64_t least = (p_.reduced.count + steps - 1) / steps;
    if (parts < least && form == Form::items) items_listed_ = true;  // the split one takes its place
    parts = std::max(parts, least);
    if (parts == 1 && form == Form::items) items_listed_ = true;
    const std::string size = std::to_string(width);
    std::string name = form == Form::items          ? "items"
                       : form == Form::groups       ? "groups@size=" + size
                       : form == Form::subgroups    ? "subgroups@group=" + size
                       : form == Form::lane_columns ? "columns@lanes=" + size
                                                    : "rows@lanes=" + size;
    if (parts > 1) name += (form == Form::items ? "@split=" : ",split=") + std::to_string(parts);
    if (std::any_of(out_.begin(), out_.end(), [&](const Variant& v) { return v.name == name; })) return;
    const bp_op* op = &p_.op;
    out_.push_back({.name = std::move(name),
                    .workspace = parts_bytes(p_, parts),
                    .build = [op, facts = facts_, plan = Plan{form, parts, width}] { return build(*op, facts, plan); }});
  }

  Reduction p_;
  const DeviceFacts& facts_;
  Variants& out_;
  bool items_listed_ = false;
};

void list(const bp_op& op, const DeviceFacts& facts, Variants& out) {
  Lister lister(op, facts, out);
  if (facts.cpu_like && facts.dialect == Dialect::opencl_c) lister.cpu();
  lister.general();
  lister.fallback();
}

}  // namespace

extern const Family kReduceFamily{BP_OP_REDUCE, nullptr, list};

}  // namespace backplane::codegen
