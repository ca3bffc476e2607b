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
#include "source.h"
#include "walk.h"

namespace backplane::codegen {
namespace {

enum class Form { items, groups, subgroups, lane_rows, lane_columns };

struct Plan {
  Form form = Form::items;
  int64_t parts = 1;   ///< > 1: two launches
  uint32_t width = 1;  ///< work-items of a group, or lanes
};

bool is_arg(uint32_t kind) { return kind == BP_REDUCE_ARGMAX || kind == BP_REDUCE_ARGMIN; }

/// The problem behind an op, with x's axes sorted into kept and reduced ones.
struct Problem {
  explicit Problem(const bp_op& o) : op(o), kind(sdk::attrs<bp_reduce_attrs>(o).kind) {
    const bp_tensor_desc& x = op.inputs[0];
    bp_tensor_desc kept_x = x, reduced_x = x;
    const uint32_t axes = sdk::attrs<bp_reduce_attrs>(op).axes;
    for (uint32_t axis = 0; axis < x.rank; ++axis) ((axes >> axis & 1) != 0 ? kept_x : reduced_x).shape[axis] = 1;
    kept = merge_axes({&kept_x}, 0, x.rank);
    reduced = merge_axes({&reduced_x}, 0, x.rank);
    accumulator = x.dtype == BP_F16 || x.dtype == BP_BF16 ? uint32_t{BP_F32} : x.dtype;
  }
  int64_t kept_stride() const { return kept.extents.empty() ? 0 : kept.strides[0].back(); }
  int64_t kept_inner() const { return kept.extents.empty() ? 1 : kept.extents.back(); }
  int64_t reduced_stride() const { return reduced.extents.empty() ? 0 : reduced.strides[0].back(); }
  int64_t reduced_inner() const { return reduced.extents.empty() ? 1 : reduced.extents.back(); }
  bool arg() const { return is_arg(kind); }

  const bp_op& op;
  uint32_t kind;
  uint32_t accumulator;
  Walk kept, reduced;
};

/// A walk of the same operand without the innermost axis.
Walk without_inner(Walk walk) {
  if (walk.extents.empty()) return walk;
  walk.count = walk.extents.back() == 0 ? 0 : walk.count / walk.extents.back();
  walk.extents.pop_back();
  for (auto& strides : walk.strides) strides.pop_back();
  return walk;
}

/// INIT, COMBINE or BETTER for kind and accumulator.
void define_kind(Source& source, const Problem& p) {
  const bool real = sdk::is_float(p.accumulator), f64 = p.accumulator == BP_F64, wide = p.accumulator == BP_I64;
  const bool boolean = p.accumulator == BP_BOOL;
  const bool maximum = p.kind == BP_REDUCE_MAX || p.kind == BP_REDUCE_ARGMAX;
  source.define("ACC", compute_type(p.accumulator));
  source.define("ARG", p.arg() ? 1 : 0);
  if (p.kind == BP_REDUCE_SUM || p.kind == BP_REDUCE_PROD) {
    const std::string sign = p.kind == BP_REDUCE_SUM ? " + " : " * ", unit = p.kind == BP_REDUCE_SUM ? "0" : "1";
    const std::string to_signed = wide ? "TO_I64" : "TO_INT", to_unsigned = wide ? "TO_U64" : "TO_UINT";
    source.define("INIT", f64 ? "TO_F64(" + unit + ")" : real ? unit + ".0f" : to_signed + "(" + unit + ")");
    source.define("COMBINE(a, v)", real ? "((a)" + sign + "(v))"
                                        : to_signed + "(" + to_unsigned + "(a)" + sign + to_unsigned + "(v))");
    return;
  }
  std::string least;  // what every element replaces
  if (boolean) least = maximum ? "false" : "true";
  else if (f64) least = maximum ? "MAKE_F64(0xfff00000u, 0u)" : "MAKE_F64(0x7ff00000u, 0u)";
  else if (real) least = maximum ? "(-INF)" : "INF";
  else if (wide) least = maximum ? "MAKE_I64(0x80000000u, 0u)" : "MAKE_I64(0x7fffffffu, 0xffffffffu)";
  else least = maximum ? "(-2147483647 - 1)" : "2147483647";
  source.define("INIT", least);
  const std::string nan = f64 ? "IS_NAN64" : "IS_NAN", order = maximum ? " > " : " < ";
  std::string better = boolean ? (maximum ? "((v) && !(a))" : "(!(v) && (a))") : "((v)" + order + "(a))";
  if (real) better = "(" + better + " || (" + nan + "(v) && !" + nan + "(a)))";
  source.define("BETTER(v, a)", better);
  source.define("COMBINE(a, v)", "(BETTER(v, a) ? (v) : (a))");
}

/// The workspace of split reductions: values [part][result], then for ARGMAX positions.
uint64_t positions_offset(const Problem& p, int64_t parts) {
  const uint64_t bytes = static_cast<uint64_t>(parts * p.kept.count) * sdk::dtype_size(p.accumulator);
  return (bytes + 63) / 64 * 64;
}
uint64_t workspace_bytes(const Problem& p, int64_t parts) {
  if (parts == 1) return 0;
  const uint64_t values = positions_offset(p, parts);
  return p.arg() ? values + (static_cast<uint64_t>(parts * p.kept.count) * 4 + 63) / 64 * 64 : values;
}
void declare_parts(Source& source, const Problem& p, int64_t parts, bool written) {
  source.workspace("saved", p.accumulator, 0, parts * p.kept.count, written);
  if (p.arg()) source.workspace("saved_rank", BP_I32, positions_offset(p, parts), parts * p.kept.count, written);
}

constexpr std::string_view kShuffles[] = {
    "#pragma OPENCL EXTENSION cl_khr_subgroups : enable\n#pragma OPENCL EXTENSION cl_khr_subgroup_shuffle : enable\n"
    "#define SUB_ID ((int)get_sub_group_id())\n#define SUB_RANK ((int)get_sub_group_local_id())\n"
    "#define SUB_SIZE ((int)get_max_sub_group_size())\n#define SUB_COUNT ((int)get_num_sub_groups())\n"
    "#define SUB_SHUFFLE(v, step) sub_group_shuffle_xor(v, (uint)(step))\n",
    "#define SUB_ID int(gl_SubgroupID)\n#define SUB_RANK int(gl_SubgroupInvocationID)\n"
    "#define SUB_SIZE int(gl_SubgroupSize)\n#define SUB_COUNT int(gl_NumSubgroups)\n"
    "#define SUB_SHUFFLE(v, step) subgroupShuffleXor(v, uint(step))\n",
    "#define SUB_ID ((int)(threadIdx.x >> 5))\n#define SUB_RANK ((int)(threadIdx.x & 31))\n#define SUB_SIZE 32\n"
    "#define SUB_COUNT (GROUP_X >> 5)\n#define SUB_SHUFFLE(v, step) __shfl_xor_sync(0xffffffffu, v, step)\n"};

Launch build_first(const Problem& p, const DeviceFacts& facts, const Plan& plan) {
  const bool teams = plan.form == Form::groups || plan.form == Form::subgroups, columns = plan.form == Form::lane_columns;
  const bool lanes = columns || plan.form == Form::lane_rows;
  Source source(facts, teams ? "reduce.teams" : lanes ? "reduce.lanes" : "reduce.items");
  source.input("x", 0, p.op.inputs[0]);
  define_kind(source, p);
  source.include("reduce_state");
  source.define("PARTIAL", plan.parts > 1 ? 1 : 0);
  if (plan.parts > 1) declare_parts(source, p, plan.parts, true);
  else declare_epilogue(source, p.op, {0});

  // Teams step through single positions; the others through rows of the innermost reduced axis.
  const bool by_rows = !teams && !columns;
  declare_walk(source, "KEPT", columns ? without_inner(p.kept) : p.kept);
  declare_walk(source, "REDUCED", by_rows ? without_inner(p.reduced) : p.reduced);
  const int64_t rows = p.reduced.count == 0 ? 0 : p.reduced.count / p.reduced_inner();
  const bool split_row = plan.form == Form::lane_rows && rows <= 1;
  const int64_t range = plan.form == Form::lane_rows && !split_row ? rows : p.reduced.count;
  source.param("results", p.kept.count);
  source.param("reduced", p.reduced.count);
  source.param("part_length", (range + plan.parts - 1) / plan.parts);
  if (by_rows) {
    source.param("inner", p.reduced_inner());
    const int64_t stride = p.reduced_stride();
    if (stride != 0 && stride != 1) source.param("step", stride);
    source.define("STEP", stride == 1 ? "" : stride == 0 ? "* 0" : "* step");
  }
  source.define("MERGE_STATE(s, t)", p.arg() ? "MERGE(s, t, t##_at)" : "MERGE(s, t, 0)");

  int64_t units = p.kept.count * plan.parts;
  LinearGrid grid;
  if (teams) {
    source.param("units", units);
    source.define("SUBGROUPS", plan.form == Form::subgroups ? 1 : 0);
    if (plan.form == Form::subgroups) {
      source.text(kShuffles[static_cast<size_t>(facts.dialect)]);
    } else {
      source.local_array(compute_type(p.accumulator), "bp_shared", "GROUP_X");
      if (p.arg()) source.local_array("int", "bp_shared_at", "GROUP_X");
    }
    const int64_t per_group = plan.form == Form::subgroups ? plan.width / facts.subgroup_size : 1;
    grid = linear_grid((units + per_group - 1) / per_group * plan.width, facts, plan.width);
    return source.finish(kernel_text("reduce_teams"), grid.group, grid.grid);
  }
  if (!lanes) {
    source.param("total", units);
    grid = linear_grid(units, facts);
    return source.finish(kernel_text("reduce_items"), grid.group, grid.grid);
  }
  source.define("LANES", plan.width);
  source.define("COLUMNS", columns ? 1 : 0);
  source.define("SPLIT_ROW", split_row ? 1 : 0);
  const int64_t blocks_per_row = (p.kept_inner() + plan.width - 1) / plan.width;
  const int64_t blocks = columns ? p.kept.count / p.kept_inner() * blocks_per_row : p.kept.count;
  source.param("blocks", blocks);
  source.param("total", blocks * plan.parts);
  if (columns) {
    source.param("blocks_per_row", blocks_per_row);
    source.param("kept_inner", p.kept_inner());
  } else {
    source.param("rows", split_row ? p.reduced.count : rows);
  }
  grid = linear_grid(blocks * plan.parts, facts, 1);
  return source.finish(kernel_text("reduce_lanes"), grid.group, grid.grid);
}

Launch build_merge(const Problem& p, const DeviceFacts& facts, const Plan& plan) {
  Source source(facts, "reduce.merge");
  define_kind(source, p);
  source.include("reduce_state");
  declare_parts(source, p, plan.parts, false);
  declare_epilogue(source, p.op, {0});
  source.param("results", p.kept.count);
  source.param("parts", plan.parts);
  const LinearGrid grid = linear_grid(p.kept.count, facts);
  return source.finish(kernel_text("reduce_merge"), grid.group, grid.grid);
}

Recipe build(const bp_op& op, const DeviceFacts& facts, const Plan& plan) {
  const Problem p(op);
  Recipe recipe{{build_first(p, facts, plan)}};
  if (plan.parts > 1) recipe.launches.push_back(build_merge(p, facts, plan));
  return recipe;
}

/// How many parts give the device enough to do: about `wanted` units of at least `least` elements.
int64_t parts_for(const Problem& p, int64_t units, int64_t wanted, int64_t least) {
  const int64_t parts = std::min(wanted / std::max<int64_t>(units, 1), p.reduced.count / least);
  return std::clamp<int64_t>(parts, 1, 256);
}

uint32_t power_of_two_below(uint32_t limit) {
  uint32_t size = 1;
  while (size * 2 <= limit) size *= 2;
  return size;
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
    const int64_t fill = 512 * static_cast<int64_t>(facts_.compute_units);  // work-items that keep the device busy
    const uint32_t group = power_of_two_below(std::min({256u, facts_.max_group_size, facts_.local_bytes / 16}));
    const int64_t split_items = parts_for(p_, p_.kept.count, fill, 32);
    const int64_t split_groups = parts_for(p_, p_.kept.count, 4 * static_cast<int64_t>(facts_.compute_units), 4096);
    const bool many = columns || p_.reduced.count <= 16;
    if (!many && facts_.cpu_like && p_.reduced_stride() == 1) subgroups(split_items / std::max(facts_.subgroup_size, 1u));
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
    const uint32_t group = power_of_two_below(std::min(256u, facts_.max_group_size));
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
                    .workspace = workspace_bytes(p_, parts),
                    .build = [op, facts = facts_, plan = Plan{form, parts, width}] { return build(*op, facts, plan); }});
  }

  Problem p_;
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
