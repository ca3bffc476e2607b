// SPDX-License-Identifier: Apache-2.0
// The launches of one step of NORMALIZE and NORMALIZE_GRAD.
#include <algorithm>
#include <cstring>

#include "backplane/sdk/program.hpp"
#include "dialect.h"
#include "lane_loops.h"
#include "lanes.h"
#include "normalize.h"

namespace backplane::codegen {
namespace {

uint32_t compute_dtype(uint32_t dtype) { return dtype == BP_F64 ? uint32_t{BP_F64} : uint32_t{BP_F32}; }

/// The axes of `mask`, or the others, of an operand; extents of 1 against longer ones of x are shared.
bp_tensor_desc pick(const bp_tensor_desc& desc, const bp_tensor_desc& x, uint32_t mask, bool inside) {
  bp_tensor_desc part{};
  part.dtype = desc.dtype;
  for (uint32_t i = 0; i < x.rank; ++i) {
    if (((mask >> i & 1u) != 0) != inside) continue;
    part.shape[part.rank] = x.shape[i];
    const bool shared = i >= desc.rank || (desc.shape[i] == 1 && x.shape[i] != 1);
    part.strides[part.rank++] = shared ? 0 : desc.strides[i];
  }
  return part;
}

Walk walk_of(const NormalizeGroups& groups, uint32_t mask, bool inside) {
  std::vector<bp_tensor_desc> parts;
  for (const NormalizeOperand& o : groups.operands) {
    if (inside ? o.inside : o.kept) parts.push_back(pick(o.desc, groups.x(), mask, inside));
  }
  std::vector<const bp_tensor_desc*> list;
  for (const bp_tensor_desc& part : parts) list.push_back(&part);
  return merge_axes(list, 0, parts[0].rank);
}

/// 1 / sqrt(... + EPSILON): a number in the argument list, so that it is no part of the text.
void declare_epsilon(Source& source, double epsilon, uint32_t dtype) {
  if (dtype == BP_F64) {
    uint64_t bits;
    std::memcpy(&bits, &epsilon, 8);
    source.param("epsilon_high", static_cast<int32_t>(bits >> 32));
    source.param("epsilon_low", static_cast<int32_t>(bits));
    return source.define("EPSILON", "MAKE_F64(TO_UINT(epsilon_high), TO_UINT(epsilon_low))");
  }
  const float value = static_cast<float>(epsilon);
  int32_t bits;
  std::memcpy(&bits, &value, 4);
  source.param("epsilon_bits", bits);
  source.define("EPSILON", "AS_FLOAT(epsilon_bits)");
}

void declare(Source& source, const NormalizeGroups& g, const NormalizeForm& form, int phase, uint64_t workspace) {
  for (const NormalizeOperand& o : g.operands) {
    if (!o.present) continue;
    if (o.from == Slot::From::input)
      source.input(o.name, o.index, o.desc);
    else
      source.output(o.name, o.index, o.desc);
  }
  const uint32_t dtype = compute_dtype(g.x().dtype);
  if (phase != 0) source.workspace("partial", dtype, workspace, 2 * g.kept.count * form.parts, phase == 1);
  if (form.carriers != 0) source.workspace("partial", dtype, workspace, 2 * g.inside.count * form.carriers, true);
  const bool sums_too = g.step == NormalizeStep::gradient_and_sums;
  source.define("OP", static_cast<int>(sums_too ? NormalizeStep::gradient : g.step));
  source.define("SUMS_PER_GROUP", sums_too);
  source.define("CARRIES", form.carriers != 0);
  if (form.carriers != 0) source.param("carriers", form.carriers);
  source.define("PHASE", phase);
  source.define("RMS", g.rms);
  source.define("STATISTICS", g.statistics);
  source.define("DSCALE", g.dscale);
  source.define("DSHIFT", g.dshift);
  source.define("ZERO", dtype == BP_F64 ? "TO_F64(0)" : "0.0f");
  source.define("ONE", dtype == BP_F64 ? "TO_F64(1)" : "1.0f");
  source.define("TO_REAL(i)", dtype == BP_F64 ? "TO_F64(i)" : "TO_FLOAT(i)");
  if (g.step == NormalizeStep::normalize) {
    declare_epsilon(source, sdk::attrs<bp_normalize_attrs>(g.op).epsilon, dtype);
  }
  source.param("n", g.inside.count);
  if (phase == 0) return;
  source.param("groups", g.kept.count);
  source.param("parts", form.parts);
  source.param("part_length", (g.inside.count + form.parts - 1) / form.parts);
}

/// The sums of parts are all there is to do, so that one work-item does it for a group, not one for each part.
bool folds_only(const NormalizeGroups& g, int phase) { return phase == 2 && g.step == NormalizeStep::parameter_sums; }

Launch build_items(const NormalizeGroups& g, const NormalizeForm& form, int phase, uint64_t workspace) {
  static constexpr const char* kNames[] = {"normalize.items", "normalize.items_fold", "normalize.items_map"};
  Source source(g.facts, kNames[phase]);
  declare(source, g, form, phase, workspace);
  declare_lanes(source, form.width, compute_dtype(g.x().dtype));
  Walk kept = g.kept, inside = g.inside;
  // The last axis inside a group is a loop of its own.
  int64_t length = 1;
  std::vector<int64_t> places(inside.strides.size(), 0);
  if (!inside.extents.empty()) {
    length = inside.extents.back();
    inside.extents.pop_back();
    for (size_t o = 0; o < places.size(); ++o) {
      places[o] = inside.strides[o].back();
      inside.strides[o].pop_back();
    }
  }
  source.param("length", std::max<int64_t>(length, 1));
  std::vector<int64_t> across(kept.strides.size(), 0), first_lane(kept.extents.size(), 0);
  int64_t bundles = kept.count;
  if (!form.along && !kept.extents.empty()) {
    const int64_t lanes = kept.extents.back(), chunks = (lanes + form.width - 1) / form.width;
    bundles = kept.count / std::max<int64_t>(lanes, 1) * chunks;
    kept.extents.back() = chunks;
    for (size_t o = 0; o < across.size(); ++o) {
      across[o] = kept.strides[o].back();
      kept.strides[o].back() *= form.width;
    }
    first_lane.back() = form.width;
    source.param("lanes", lanes);
    source.param("bundles", chunks);
  }
  size_t in_kept = 0, in_inside = 0;
  for (const NormalizeOperand& o : g.operands) {
    const int64_t place = o.inside ? places[in_inside++] : 0, lane = o.kept ? across[in_kept++] : 0;
    if (!o.present) continue;
    if (o.inside) declare_stride(source, o.name + "_axis", place);
    declare_lane_access(source, o.name, o.desc.dtype, form.width, form.along ? place : lane,
                        o.from == Slot::From::output, false, LaneOrder::any);
  }
  if (phase != 0 || form.carriers != 0) {
    declare_lane_access(source, "partial", compute_dtype(g.x().dtype), form.width, 1, phase != 2, false,
                        LaneOrder::any);
  }
  source.define("CENTER", g.rms ? "LANES_OF(ZERO)" : "GET_mean(AT(mean), LEFT, ZERO)");
  kept.strides.push_back(first_lane);
  declare_walk(source, "KEPT", kept);
  declare_walk(source, "INSIDE", inside);
  const int64_t together = phase == 0 && g.step == NormalizeStep::normalize
                               ? rows_together(g.facts, form.along, form.width, g.inside.count, 2)
                               : 1;
  declare_lane_loops(source, form.along, form.width, together);
  const int64_t units = bundles * (phase == 0 || folds_only(g, phase) ? 1 : form.parts);
  int64_t per_item = 1;
  if (form.carriers != 0) {
    per_item = (units + form.carriers - 1) / form.carriers;
  } else if (form.group == 1) {
    const int64_t elements = g.inside.count / form.parts * (form.along ? 1 : form.width);
    per_item = units_per_item(g.facts, units, elements, form.width > 1, together);
  }
  source.param("units", units);
  source.param("units_per_item", per_item);
  const int64_t items = form.carriers != 0 ? form.carriers : (units + per_item - 1) / per_item;
  const LinearGrid grid = linear_grid(items, g.facts, form.group);
  return source.finish(kernel_text("normalize_items"), grid.group, grid.grid);
}

Launch build_team(const NormalizeGroups& g, const NormalizeForm& form, int phase, uint64_t workspace) {
  static constexpr const char* kNames[] = {"normalize.team", "normalize.team_fold", "normalize.team_map"};
  Source source(g.facts, kNames[phase]);
  declare(source, g, form, phase, workspace);
  source.define("REAL", compute_type(compute_dtype(g.x().dtype)));
  source.define("CENTER", g.rms ? "ZERO" : "LOAD_mean(mean_k + mean_i)");
  source.define("HELD", form.held);
  declare_team(source, form.kind, compute_type(compute_dtype(g.x().dtype)), form.group);
  declare_walk(source, "KEPT", g.kept);
  declare_walk(source, "INSIDE", g.inside);
  const int64_t units = g.kept.count * (phase == 0 ? 1 : form.parts);
  source.param("units", units);
  const LinearGrid grid = team_grid(units, form.kind, form.group, g.facts);
  return source.finish(kernel_text("normalize_teams"), grid.group, grid.grid);
}

}  // namespace

NormalizeGroups::NormalizeGroups(const bp_op& o, const DeviceFacts& f, NormalizeStep s, bool with_dscale,
                                 bool with_dshift)
    : op(o), facts(f), step(s), dscale(with_dscale), dshift(with_dshift) {
  const auto& attrs = sdk::attrs<bp_normalize_attrs>(op);
  rms = attrs.kind == BP_NORMALIZE_RMS;
  statistics = step == NormalizeStep::normalize && op.num_outputs == 3;
  uint32_t axes = attrs.axes;
  const auto in = [&](const char* name, uint32_t index, bool kept_too = true, bool inside_too = true) {
    operands.push_back({name, Slot::From::input, index, op.inputs[index], true, kept_too, inside_too});
  };
  const auto out = [&](const char* name, uint32_t index, bool there, bool inside_too) {
    NormalizeOperand operand{name, Slot::From::output, index, {}, there, true, inside_too};
    if (there) operand.desc = op.outputs[index];  // else rank 0: stride 0 everywhere
    operands.push_back(operand);
  };
  switch (step) {
    case NormalizeStep::normalize:
      in("x", 0), in("scale", 1), in("shift", 2);
      out("y", 0, true, true), out("mean", 1, statistics, false), out("rstd", 2, statistics, false);
      break;
    case NormalizeStep::gradient:
    case NormalizeStep::gradient_and_sums:
      in("x", 1), in("dy", 0), in("scale", 4), in("mean", 2, true, false), in("rstd", 3, true, false);
      out("y", 0, true, true);
      if (step == NormalizeStep::gradient_and_sums) out("dscale", 1, true, false), out("dshift", 2, true, false);
      break;
    case NormalizeStep::parameter_sums: {
      in("x", 1), in("dy", 0), in("mean", 2), in("rstd", 3);
      out("dscale", 1, dscale, false), out("dshift", 2, dshift, false);
      const bp_tensor_desc& sums = op.outputs[dscale ? 1 : 2];
      axes = 0;
      for (uint32_t i = 0; i < sums.rank; ++i) axes |= uint32_t{sums.shape[i] != x().shape[i]} << i;
      break;
    }
  }
  kept = walk_of(*this, axes, false);
  inside = walk_of(*this, axes, true);
}

bool NormalizeGroups::dense(bool along) const {
  const Walk& walk = along ? inside : kept;
  // A sum is dense when what it reads is: x and dy.
  const size_t other = step == NormalizeStep::parameter_sums ? 1 : step == NormalizeStep::normalize || along ? 3 : 5;
  return !walk.extents.empty() && walk.strides[0].back() == 1 && walk.strides[other].back() == 1;
}

uint64_t normalize_workspace(const NormalizeGroups& groups, const NormalizeForm& form) {
  const int64_t elements = form.parts > 1 ? groups.kept.count * form.parts : groups.inside.count * form.carriers;
  const uint64_t element = groups.x().dtype == BP_F64 ? 8 : 4;
  return (static_cast<uint64_t>(2 * elements) * element + 63) / 64 * 64;
}

void fold_normalize_parts(const NormalizeGroups& groups, const NormalizeForm& form, uint64_t workspace,
                          Recipe& recipe) {
  recipe.launches.push_back(build_items(groups, form, 2, workspace));
}

void build_normalize(const NormalizeGroups& groups, const NormalizeForm& form, uint64_t workspace, Recipe& recipe) {
  if (groups.kept.count == 0) return;
  for (int phase = form.parts > 1 ? 1 : 0; phase <= (form.parts > 1 ? 2 : 0); ++phase) {
    recipe.launches.push_back(form.team ? build_team(groups, form, phase, workspace)
                                        : build_items(groups, form, phase, workspace));
  }
}

}  // namespace backplane::codegen
