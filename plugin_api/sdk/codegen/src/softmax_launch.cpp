// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>

#include "dialect.h"
#include "lane_loops.h"
#include "lanes.h"
#include "softmax.h"
#include "source.h"

namespace backplane::codegen {
namespace {

uint32_t compute_dtype(uint32_t dtype) { return dtype == BP_F64 ? BP_F64 : BP_F32; }

int64_t part_length(const SoftmaxRows& rows, const SoftmaxForm& form) { return (rows.n + form.parts - 1) / form.parts; }

/// Arguments and definitions that all forms share.
void declare(Source& source, const SoftmaxRows& rows, const SoftmaxForm& form, int phase) {
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

Launch build_items(const SoftmaxRows& rows, const SoftmaxForm& form, int phase) {
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
    declare_lane_access(source, rows.names[i], rows.dtype, form.width, step, written, fours, LaneOrder::any);
  }
  walk.strides.push_back(first_lane);
  declare_walk(source, "ROWS", walk);
  const int64_t together = phase == 0 && !form.online ? rows_together(rows.facts, form.along, form.width, rows.n,
                                                                      static_cast<int64_t>(rows.names.size()))
                                                      : 1;
  declare_lane_loops(source, form.along, form.width, together);
  source.define("KEEP", !form.online && phase == 0 && rows.facts.cpu_like && compute_dtype(rows.dtype) == rows.dtype &&
                            rows.op.code == BP_OP_SOFTMAX);
  const int64_t elements = rows.n / form.parts * (form.along ? 1 : form.width);
  const bool in_vectors = form.width > 1 && (form.along || rows.dense_across());
  const int64_t per_item = form.group == 1 ? units_per_item(rows.facts, units, elements, in_vectors, together) : 1;
  source.param("units", units);
  source.param("units_per_item", per_item);
  const LinearGrid grid = linear_grid((units + per_item - 1) / per_item, rows.facts, form.group);
  return source.finish(kernel_text("softmax_items"), grid.group, grid.grid);
}

Launch build_team(const SoftmaxRows& rows, const SoftmaxForm& form, int phase) {
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

}  // namespace

Recipe build_softmax(const bp_op& op, const DeviceFacts& facts, const SoftmaxForm& form) {
  const SoftmaxRows rows(op, facts);
  const auto launch = [&](int phase) {
    return form.team ? build_team(rows, form, phase) : build_items(rows, form, phase);
  };
  if (form.parts == 1) return {{launch(0)}};
  return {{launch(1), launch(2)}};
}

}  // namespace backplane::codegen
