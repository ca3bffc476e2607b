// SPDX-License-Identifier: Apache-2.0
// SOFTMAX, LOG_SOFTMAX and their gradients: one row a work-item, a group or a subgroup, or rows cut into parts. The launches
// are built in softmax_launch.cpp.
//
// Not here: rows in f64 for GLSL, which has no exponential of a double.
#include "softmax.h"

#include <string>

#include "lanes.h"
#include "source.h"

namespace backplane::codegen {
namespace {

constexpr int64_t kLongRow = 65536;  // a CPU cuts rows from this length on when there are fewer than cores
constexpr uint32_t kMostHeld = 8;    // elements of a row that a work-item keeps in registers

std::string number(int64_t n) { return std::to_string(n); }

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
  void add(std::string name, SoftmaxForm form) {
    const uint64_t element = rows_.dtype == BP_F64 ? 8 : 4;
    Variant variant;
    variant.name = std::move(name);
    variant.prior = out_.empty() ? 1.0 : 2.0;
    if (form.parts > 1) variant.workspace = static_cast<uint64_t>(2 * rows_.walk.count * form.parts) * element;
    // Three passes over the row or its part; what a team shares is not counted on, subgroups may be small.
    const int64_t lanes = !form.team && form.along ? form.width : 1;
    variant.steps = static_cast<uint64_t>(3 * (rows_.n / (form.parts * lanes) + lanes) + 2 * form.parts);
    variant.determinism = BP_DETERMINISM_BATCH;
    variant.build = [&op = op_, facts = facts_, form] { return build_softmax(op, facts, form); };
    out_.push_back(std::move(variant));
  }
  void list_cpu_like() {
    const uint32_t along = rows_.dense() ? lane_width(facts_, rows_.dtype, rows_.n) : 1;
    const int64_t neighbours = rows_.walk.extents.empty() ? 1 : rows_.walk.extents.back();
    const uint32_t across = lane_width(facts_, rows_.dtype, neighbours);
    const bool slow_loads = facts_.dialect == Dialect::glsl;
    // Rows too short to fill the lanes go side by side even when that has to gather them.
    const bool across_first = along == 1 || (slow_loads ? rows_.n < 2 * along : 4 * rows_.n < 3 * along);
    // The second launch costs as much as some ten thousand elements.
    const bool few_rows = rows_.walk.count < facts_.compute_units && rows_.n > kLongRow;
    if (few_rows) list_parts(along);
    const auto list_across = [&] {
      if (across > 1)
        add("rows_per_item@w=" + number(across), {.group = items_group_, .width = across, .along = false});
    };
    const bool held_by_subgroup = slow_loads && along > 1 && fills_subgroup();
    if (held_by_subgroup) list_groups(group_size(facts_, 32, 8));
    if (across_first) list_across();
    if (along > 1) {
      const std::string name = "row_per_item@w=" + number(along);
      const auto list_online = [&] {
        if (forward()) add(name + ",online", {.group = items_group_, .width = along, .online = true});
      };
      // llvmpipe: reading a row once more costs more than the exponentials that online needs, unless others need none.
      const bool short_rows = rows_.n < 3 * along;
      const bool online_first = slow_loads && op_.code == BP_OP_SOFTMAX && !short_rows;
      if (online_first) list_online();
      else if (slow_loads && (op_.code != BP_OP_LOG_SOFTMAX_GRAD || short_rows)) list_items();
      add(name, {.group = items_group_, .width = along});
      if (!online_first) list_online();
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
        rows_.walk.count < 2 * static_cast<int64_t>(facts_.compute_units) && rows_.n >= 4 * SoftmaxRows::kPartLength;
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
    const SoftmaxForm form{.team = true, .kind = kind, .group = group};
    const std::string open = name + (name.find('@') == std::string::npos ? "@" : ",");
    if (rows_.n <= kMostHeld * team) {
      SoftmaxForm held = form;
      for (held.held = 1; held.held * team < rows_.n;) held.held *= 2;
      add(open + "held=" + number(held.held), held);
    }
    add(name, form);
    if (!forward()) return;
    SoftmaxForm online = form;
    online.online = true;
    add(open + "online", online);
  }
  /// Rows that nearly fill the registers of a subgroup; of shorter ones its sums cost more than they save.
  bool fills_subgroup() const {
    const int64_t places = int64_t{kMostHeld} * facts_.subgroup_size;
    return subgroups_fit() && rows_.n <= places && 4 * rows_.n > 3 * places;
  }
  bool subgroups_fit() const {
    return facts_.subgroup_arithmetic && rows_.dtype != BP_F64 && facts_.subgroup_size > 1;
  }
  bool forward() const { return !rows_.gradient(); }

  SoftmaxRows rows_;
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
