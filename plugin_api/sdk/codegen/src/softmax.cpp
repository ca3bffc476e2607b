// SPDX-License-Identifier: Apache-2.0
// SOFTMAX, LOG_SOFTMAX and their gradients: one row a work-item, a group or a subgroup, or rows cut into parts.
//
// Not here: rows in f64 for GLSL, which has no exponential of a double.
#include <algorithm>
#include <string>

#include "backplane/sdk/op.hpp"
#include "dialect.h"
#include "family.h"
#include "lane_loops.h"
#include "lanes.h"
#include "source.h"
#include "team.h"
#include "walk.h"

namespace backplane::codegen {
namespace {

constexpr int64_t kPartLength = 2048;    // least elements of a part of a row
constexpr int64_t kLongRow = 65536;      // a CPU cuts rows from this length on when there are fewer than cores
constexpr int64_t kItemElements = 8192;  // what a work-item on a CPU should have to do
constexpr uint32_t kMostHeld = 8;        // elements of a row that a work-item keeps in registers

std::string number(int64_t n) { return std::to_string(n); }

/// The operands as rows: `axis` apart from all other positions.
struct Rows {
  Rows(const bp_op& o, const DeviceFacts& f) : op(o), facts(f) {
    const uint32_t axis = sdk::attrs<bp_axis_attrs>(op).axis;
    std::vector<bp_tensor_desc> others;
    const auto add = [&](const char* name, const bp_tensor_desc& desc) {
      names.push_back(name);
      steps.push_back(desc.strides[axis]);
      others.push_back(without_axis(desc, axis));
    };
    add("a", op.inputs[0]);
    if (gradient()) add("b", op.inputs[1]);
    add("y", op.outputs[0]);
    std::vector<const bp_tensor_desc*> list;
    for (const bp_tensor_desc& desc : others) list.push_back(&desc);
    walk = merge_axes(list, 0, others[0].rank);
    n = op.outputs[0].shape[axis];
    dtype = op.outputs[0].dtype;
  }
  bool gradient() const { return op.code == BP_OP_SOFTMAX_GRAD || op.code == BP_OP_LOG_SOFTMAX_GRAD; }
  bool dense() const {
    return n > 1 && std::all_of(steps.begin(), steps.end(), [](int64_t s) { return s == 1; });
  }
  /// Neighbouring rows lie side by side.
  bool dense_across() const {
    return !walk.extents.empty() && std::all_of(walk.strides.begin(), walk.strides.end(),
                                                [](const auto& strides) { return strides.back() == 1; });
  }
  int64_t most_parts() const { return std::min<int64_t>(n / kPartLength, 64); }
  int64_t parts() const {
    return std::clamp<int64_t>(4 * facts.compute_units / std::max<int64_t>(walk.count, 1), 2,
                               std::max<int64_t>(most_parts(), 2));
  }

  const bp_op& op;
  DeviceFacts facts;
  std::vector<const char*> names;  // a [, b], y
  std::vector<int64_t> steps;      // along the axis
  Walk walk;                       // over the rows
  int64_t n;
  uint32_t dtype;
};

struct Form {
  bool team = false;  // else one row a work-item
  Team kind = Team::group;
  uint32_t group = 1;
  uint32_t held = 0;
  uint32_t width = 1;
  bool along = true;  // lanes run along the row
  bool online = false;
  int64_t parts = 1;
};

uint32_t compute_dtype(uint32_t dtype) { return dtype == BP_F64 ? BP_F64 : BP_F32; }

int64_t part_length(const Rows& rows, const Form& form) { return (rows.n + form.parts - 1) / form.parts; }

/// Arguments and definitions that all forms share.
void declare(Source& source, const Rows& rows, const Form& form, int phase) {
  source.input("a", 0, rows.op.inputs[0]);
  if (rows.gradient()) source.input("b", 1, rows.op.inputs[1]);
  source.output("y", 0, rows.op.outputs[0]);
  if (phase != 0) {
    source.workspace("partial", compute_dtype(rows.dtype), 0, 2 * rows.walk.count * form.parts, phase == 1);
  }
  constexpr uint32_t kOps[] = {BP_OP_SOFTMAX, BP_OP_LOG_SOFTMAX, BP_OP_SOFTMAX_GRAD, BP_OP_LOG_SOFTMAX_GRAD};
  source.define("OP", 1 + (std::find(kOps, kOps + 4, rows.op.code) - kOps));
  source.define("PHASE", phase);
  source.define("ONLINE", form.online);
  source.param("n", rows.n);
  for (size_t i = 0; i < rows.names.size(); ++i) {
    declare_stride(source, std::string(rows.names[i]) + "_axis", rows.steps[i]);
  }
  if (phase == 0) return;
  source.param("parts", form.parts);
  source.param("part_length", part_length(rows, form));
}

Launch build_items(const Rows& rows, const Form& form, int phase) {
  static constexpr const char* kNames[] = {"softmax.items", "softmax.items_fold", "softmax.items_map"};
  Source source(rows.facts, kNames[phase]);
  declare(source, rows, form, phase);
  declare_lanes(source, form.width, compute_dtype(rows.dtype));
  Walk walk = rows.walk;
  int64_t lanes = 1, units = walk.count * (phase == 0 ? 1 : form.parts);
  std::vector<int64_t> first_lane(walk.extents.size(), 0);
  if (!form.along) {
    lanes = walk.extents.back();
    const int64_t bundles = (lanes + form.width - 1) / form.width;
    units = units / lanes * bundles;
    walk.extents.back() = bundles;
    for (auto& strides : walk.strides) strides.back() *= form.width;
    first_lane.back() = form.width;
    source.param("lanes", lanes);
  }
  for (size_t i = 0; i < rows.names.size(); ++i) {
    const int64_t step = form.along ? rows.steps[i] : rows.walk.strides[i].back();
    const bool written = i + 1 == rows.names.size();
    const bool fours = std::all_of(walk.strides[i].begin(), walk.strides[i].end(), [](int64_t s) { return s % 4 == 0; }) &&
                       (form.along || rows.steps[i] % 4 == 0) && (phase == 0 || part_length(rows, form) % 4 == 0);
    declare_lane_access(source, rows.names[i], rows.dtype, form.width, step, written, fours);
  }
  walk.strides.push_back(first_lane);
  declare_walk(source, "ROWS", walk);
  declare_lane_loops(source, form.along, form.width);
  source.define("KEEP", !form.online && phase == 0 && rows.facts.cpu_like && compute_dtype(rows.dtype) == rows.dtype &&
                            rows.op.code == BP_OP_SOFTMAX);
  const int64_t length = phase == 0 ? rows.n : rows.n / form.parts;
  int64_t per_item = 1;
  if (rows.facts.cpu_like && form.group == 1) {
    per_item = std::min(kItemElements / std::max<int64_t>(1, length * (form.along ? 1 : form.width)),
                        units / (4 * rows.facts.compute_units));
  }
  per_item = std::max<int64_t>(1, per_item);
  source.param("units", units);
  source.param("units_per_item", per_item);
  const LinearGrid grid = linear_grid((units + per_item - 1) / per_item, rows.facts, form.group);
  return source.finish(kernel_text("softmax_items"), grid.group, grid.grid);
}

Launch build_team(const Rows& rows, const Form& form, int phase) {
  static constexpr const char* kNames[] = {"softmax.team", "softmax.team_fold", "softmax.team_map"};
  Source source(rows.facts, kNames[phase]);
  declare(source, rows, form, phase);
  declare_lanes(source, 1, compute_dtype(rows.dtype));
  declare_team(source, form.kind, compute_type(compute_dtype(rows.dtype)), form.group);
  declare_walk(source, "ROWS", rows.walk);
  source.define("HELD", form.held);
  const int64_t units = rows.walk.count * (phase == 0 ? 1 : form.parts);
  source.param("units", units);
  const LinearGrid grid = team_grid(units, form.kind, form.group, rows.facts);
  return source.finish(kernel_text("softmax_groups"), grid.group, grid.grid);
}

Recipe build(const bp_op& op, const DeviceFacts& facts, const Form& form) {
  const Rows rows(op, facts);
  const auto launch = [&](int phase) {
    return form.team ? build_team(rows, form, phase) : build_items(rows, form, phase);
  };
  if (form.parts == 1) return {{launch(0)}};
  return {{launch(1), launch(2)}};
}

class Lister {
 public:
  Lister(const bp_op& op, const DeviceFacts& facts, Variants& out)
      : rows_(op, facts), op_(op), facts_(facts), out_(out) {
    items_group_ = !facts.cpu_like ? group_size(facts, 64) : facts.dialect == Dialect::glsl ? group_size(facts, 8) : 1;
  }
  void list() {
    facts_.cpu_like ? list_cpu_like() : list_gpu();
    if (!items_listed_) list_items();
  }

 private:
  void list_items() {
    items_listed_ = true;
    add("row_per_item", {.group = items_group_});
  }
  void add(std::string name, Form form) {
    const uint64_t element = rows_.dtype == BP_F64 ? 8 : 4;
    Variant variant;
    variant.name = std::move(name);
    variant.prior = out_.empty() ? 1.0 : 2.0;
    if (form.parts > 1) variant.workspace = static_cast<uint64_t>(2 * rows_.walk.count * form.parts) * element;
    // Three passes over the row or its part; what a team shares is not counted on, subgroups may be small.
    const int64_t lanes = !form.team && form.along ? form.width : 1;
    variant.steps = static_cast<uint64_t>(3 * (rows_.n / (form.parts * lanes) + lanes) + 2 * form.parts);
    variant.determinism = BP_DETERMINISM_BATCH;
    variant.build = [&op = op_, facts = facts_, form] { return build(op, facts, form); };
    out_.push_back(std::move(variant));
  }
  void list_cpu_like() {
    const uint32_t along = rows_.dense() ? lane_width(facts_, rows_.dtype, rows_.n) : 1;
    const int64_t neighbours = rows_.walk.extents.empty() ? 1 : rows_.walk.extents.back();
    const uint32_t across = lane_width(facts_, rows_.dtype, neighbours);
    // The second launch costs as much as some ten thousand elements.
    const bool few_rows = rows_.walk.count < facts_.compute_units && rows_.n >= kLongRow;
    if (few_rows) list_parts(along);
    const auto list_across = [&] {
      if (across > 1)
        add("rows_per_item@w=" + number(across), {.group = items_group_, .width = across, .along = false});
    };
    const bool slow_loads = facts_.dialect == Dialect::glsl;
    const bool held_by_subgroup =
        slow_loads && along > 1 && subgroups_fit() && rows_.n <= kMostHeld * facts_.subgroup_size;
    if (held_by_subgroup) list_groups(group_size(facts_, 32, 8));
    // Rows too short to fill the lanes go side by side even when that has to gather them.
    const bool across_first = along == 1 || rows_.n < 2 * along;
    if (across_first) list_across();
    if (along > 1) {
      const std::string name = "row_per_item@w=" + number(along);
      const auto list_online = [&] {
        if (forward()) add(name + ",online", {.group = items_group_, .width = along, .online = true});
      };
      // On llvmpipe reading a row once more costs more than the exponentials that online needs.
      if (slow_loads) list_online();
      add(name, {.group = items_group_, .width = along});
      if (!slow_loads) list_online();
    }
    if (!across_first && rows_.dense_across()) list_across();
    if (!few_rows && rows_.most_parts() > 1) list_parts(along);
    if (!held_by_subgroup) list_groups(group_size(facts_, 32, 8));
  }
  void list_parts(uint32_t width) {
    const int64_t parts = rows_.parts();
    add("split_row@w=" + number(width) + ",parts=" + number(parts), {.group = 1, .width = width, .parts = parts});
  }
  void list_gpu() {
    const uint32_t group = group_size(facts_, 256, 8);
    const bool few_rows =
        rows_.walk.count < 2 * static_cast<int64_t>(facts_.compute_units) && rows_.n >= 4 * kPartLength;
    const auto split = [&] {
      const int64_t parts = rows_.parts();
      add("split_row@g=" + number(group) + ",parts=" + number(parts), {.team = true, .group = group, .parts = parts});
    };
    if (few_rows) split();
    // Neighbouring work-items read neighbouring rows: best where those lie side by side, and where rows are short.
    if ((rows_.dense_across() && rows_.walk.count >= 64 * facts_.compute_units) || rows_.n <= 8) {
      list_items();
    }
    list_groups(group);
    if (!few_rows && rows_.most_parts() > 1) split();
  }
  void list_groups(uint32_t group) {
    const auto subgroups = [&] {
      if (!subgroups_fit()) return;
      const uint32_t size = std::max(group_size(facts_, 4 * facts_.subgroup_size), facts_.subgroup_size);
      list_team("row_per_subgroup", Team::subgroup, size, facts_.subgroup_size);
    };
    const bool short_rows = rows_.n <= 32 * static_cast<int64_t>(facts_.subgroup_size);
    if (short_rows) subgroups();
    if (group > 1) list_team("row_per_group@g=" + number(group), Team::group, group, group);
    if (!short_rows) subgroups();
  }
  void list_team(const std::string& name, Team kind, uint32_t group, uint32_t team) {
    const Form form{.team = true, .kind = kind, .group = group};
    const std::string open = name + (name.find('@') == std::string::npos ? "@" : ",");
    if (rows_.n <= kMostHeld * team) {
      Form held = form;
      for (held.held = 1; held.held * team < rows_.n;) held.held *= 2;
      add(open + "held=" + number(held.held), held);
    }
    add(name, form);
    if (!forward()) return;
    Form online = form;
    online.online = true;
    add(open + "online", online);
  }
  bool subgroups_fit() const {
    return facts_.subgroup_arithmetic && rows_.dtype != BP_F64 && facts_.subgroup_size > 1;
  }
  bool forward() const { return !rows_.gradient(); }

  Rows rows_;
  const bp_op& op_;
  DeviceFacts facts_;
  Variants& out_;
  uint32_t items_group_;
  bool items_listed_ = false;
};

std::string refuse_softmax(const bp_op& op, const DeviceFacts& facts) {
  return op.outputs[0].dtype == BP_F64 && facts.dialect == Dialect::glsl ? "f64 exponentials are not there in GLSL"
                                                                         : "";
}

void list(const bp_op& op, const DeviceFacts& facts, Variants& out) { Lister(op, facts, out).list(); }

}  // namespace

extern const Family kSoftmaxFamily{BP_OP_SOFTMAX, refuse_softmax, list};
extern const Family kSoftmaxGradFamily{BP_OP_SOFTMAX_GRAD, refuse_softmax, list};
extern const Family kLogSoftmaxFamily{BP_OP_LOG_SOFTMAX, refuse_softmax, list};
extern const Family kLogSoftmaxGradFamily{BP_OP_LOG_SOFTMAX_GRAD, refuse_softmax, list};

}  // namespace backplane::codegen
