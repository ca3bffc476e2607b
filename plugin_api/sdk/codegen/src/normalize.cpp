// SPDX-License-Identifier: Apache-2.0
// NORMALIZE and NORMALIZE_GRAD: which forms to offer. The gradient first adds up dscale and dshift, each group of their
// terms by itself and without atomics, then computes dx, which may lie over dy or x. Where dscale and dshift have one
// element per group (batch norm), the sums that dx needs are theirs and one launch does both; where they have one per
// place in a group (layer norm), a CPU's work-items carry sums of their own from group to group.
#include <algorithm>

#include "lanes.h"
#include "normalize.h"

namespace backplane::codegen {
namespace {

constexpr int64_t kPartLength = 2048;  // least elements of a part of a group
constexpr int64_t kMostHeld = 16;      // elements of a group that a work-item keeps in registers
constexpr int64_t kLongGroup = 65536;  // a CPU cuts groups from this length on when there are fewer than cores

std::string number(int64_t n) { return std::to_string(n); }

uint32_t items_group(const DeviceFacts& facts) {
  return !facts.cpu_like ? group_size(facts, 64) : facts.dialect == Dialect::glsl ? group_size(facts, 8) : 1;
}

/// Lanes for one launch: along the group where elements lie side by side, else across groups.
NormalizeForm lanes_form(const NormalizeGroups& g) {
  NormalizeForm form{.group = items_group(g.facts)};
  form.along = g.dense(true) || !g.dense(false);
  const Walk& walk = form.along ? g.inside : g.kept;
  if (g.dense(form.along)) form.width = lane_width(g.facts, g.x().dtype, walk.extents.back());
  return form;
}

/// dscale and dshift: as many work-items or groups as keep the device busy.
NormalizeForm sums_form(const NormalizeGroups& g, bool plain) {
  NormalizeForm form = plain ? NormalizeForm{.group = items_group(g.facts)} : lanes_form(g);
  if (plain) return form;
  if (!g.facts.cpu_like && form.along) {
    form.team = true;
    form.group = group_size(g.facts, 256, 8);
    if (form.group > 1) return form;
    form.team = false;
  }
  const int64_t wanted =
      g.facts.cpu_like ? 2 * g.facts.compute_units : 2048 * static_cast<int64_t>(g.facts.compute_units);
  const int64_t units = std::max<int64_t>(1, g.kept.count / (form.along ? 1 : form.width));
  const int64_t most = g.inside.count / (form.along ? kPartLength : 32);
  form.parts = std::clamp<int64_t>(wanted / units, 1, std::max<int64_t>(1, std::min<int64_t>(most, 1024)));
  return form;
}

/// visit(groups, form) for each pass that sums the gradients of scale and shift: one when they have the same shape.
template <class Visit>
void for_each_sums(const bp_op& op, const DeviceFacts& facts, bool plain, Visit&& visit) {
  const bp_tensor_desc &dscale = op.outputs[1], &dshift = op.outputs[2];
  const bool together = std::equal(dscale.shape, dscale.shape + dscale.rank, dshift.shape);
  for (int i = 0; i < (together ? 1 : 2); ++i) {
    const NormalizeGroups sums(op, facts, NormalizeStep::parameter_sums, together || i == 0, together || i == 1);
    visit(sums, sums_form(sums, plain));
  }
}

/// dscale and dshift have extents of 1 on exactly the axes that are, or are not, normalised over.
bool sums_are_along(const bp_op& op, bool groups) {
  const uint32_t axes = sdk::attrs<bp_normalize_attrs>(op).axes;
  const bp_tensor_desc& x = op.inputs[1];
  for (uint32_t i = 0; i < x.rank; ++i) {
    const bool summed = ((axes >> i & 1u) != 0) == groups;
    for (const bp_tensor_desc* sums : {op.outputs + 1, op.outputs + 2}) {
      if (sums->shape[i] != (summed ? 1 : x.shape[i])) return false;
    }
  }
  return true;
}

/// One scale, dscale and dshift for each group.
bool has_sums_per_group(const bp_op& op) {
  if (op.code != BP_OP_NORMALIZE_GRAD || !sums_are_along(op, true)) return false;
  const NormalizeGroups g(op, {}, NormalizeStep::gradient);
  const auto& scale = g.inside.strides[2];
  return std::all_of(scale.begin(), scale.end(), [](int64_t stride) { return stride == 0; });
}

NormalizeStep step_of(const bp_op& op) {
  if (op.code == BP_OP_NORMALIZE) return NormalizeStep::normalize;
  return has_sums_per_group(op) ? NormalizeStep::gradient_and_sums : NormalizeStep::gradient;
}

/// The launches that sum dscale and dshift apart from dx; with carriers only what is left of them.
template <class Visit>
void for_each_sums_apart(const bp_op& op, const DeviceFacts& facts, const NormalizeForm& form, bool plain,
                         Visit&& visit) {
  if (step_of(op) != NormalizeStep::gradient || form.carriers != 0) return;
  for_each_sums(op, facts, plain, visit);
}

Recipe build(const bp_op& op, const DeviceFacts& facts, const NormalizeForm& form, bool plain) {
  Recipe recipe;
  uint64_t workspace = 0;
  for_each_sums_apart(op, facts, form, plain, [&](const NormalizeGroups& sums, const NormalizeForm& sums_as) {
    build_normalize(sums, sums_as, workspace, recipe);
    workspace += normalize_workspace(sums, sums_as);
  });
  const NormalizeGroups groups(op, facts, step_of(op));
  if (groups.inside.count != 0) build_normalize(groups, form, workspace, recipe);
  if (form.carriers != 0) {
    const NormalizeGroups sums(op, facts, NormalizeStep::parameter_sums);
    NormalizeForm fold = lanes_form(sums);
    fold.parts = form.carriers;
    fold_normalize_parts(sums, fold, workspace, recipe);
  }
  return recipe;
}

uint64_t workspace_of(const bp_op& op, const DeviceFacts& facts, const NormalizeForm& form, bool plain) {
  uint64_t bytes = normalize_workspace({op, facts, step_of(op)}, form);
  for_each_sums_apart(op, facts, form, plain, [&](const NormalizeGroups& sums, const NormalizeForm& sums_as) {
    bytes += normalize_workspace(sums, sums_as);
  });
  return bytes;
}

/// Three passes over a group or its part, then its parts. What a team shares is not counted on.
uint64_t steps_of(const NormalizeGroups& groups, const NormalizeForm& form) {
  const int64_t lanes = !form.team && form.along ? form.width : 1;
  const int64_t own = form.carriers != 0 ? (groups.kept.count + form.carriers - 1) / form.carriers : 1;
  return static_cast<uint64_t>(own * 3 * (groups.inside.count / (form.parts * lanes) + lanes) + 4 * form.parts) + 1024;
}

void list(const bp_op& op, const DeviceFacts& facts, Variants& out) {
  const NormalizeGroups g(op, facts, step_of(op));
  const auto add = [&](std::string name, const NormalizeForm& form, bool plain = false) {
    Variant variant;
    variant.name = std::move(name);
    variant.prior = out.empty() ? 1 : 2;
    variant.workspace = workspace_of(op, facts, form, plain);
    variant.steps = steps_of(g, form);
    for_each_sums_apart(op, facts, form, plain, [&](const NormalizeGroups& sums, const NormalizeForm& sums_as) {
      variant.steps = std::max(variant.steps, steps_of(sums, sums_as));
    });
    variant.determinism = BP_DETERMINISM_RUN;
    variant.build = [&op, facts, form, plain] { return build(op, facts, form, plain); };
    out.push_back(std::move(variant));
  };
  const int64_t n = g.inside.count, groups = std::max<int64_t>(g.kept.count, 1);
  const NormalizeForm lanes = lanes_form(g);
  const uint32_t team = group_size(facts, facts.cpu_like ? 32 : 256, 8);
  const bool few = facts.cpu_like ? groups < facts.compute_units && n > kLongGroup
                                  : groups < 2 * static_cast<int64_t>(facts.compute_units) && n >= 4 * kPartLength;
  const auto list_parts = [&] {
    if (n < 2 * kPartLength || !g.dense(true)) return;
    NormalizeForm form = facts.cpu_like ? lanes : NormalizeForm{.team = true, .group = team};
    form.parts = std::clamp<int64_t>(4 * facts.compute_units / groups, 2, std::min<int64_t>(n / kPartLength, 64));
    add("split_group@w=" + number(form.width) + ",parts=" + number(form.parts), form);
  };
  const auto list_lanes = [&] {
    const std::string name = lanes.along ? "group_per_item@w=" : "groups_per_item@w=";
    if (lanes.width > 1 || !lanes.along) add(name + number(lanes.width), lanes);
  };
  const auto list_team = [&](const std::string& of, NormalizeForm form, uint32_t members) {
    if (n <= kMostHeld * members) {
      NormalizeForm holding = form;
      for (holding.held = 1; holding.held * members < n;) holding.held *= 2;
      add(of + (of.find('@') == of.npos ? "@" : ",") + "held=" + number(holding.held), holding);
    }
    add(of, form);
  };
  const auto list_subgroups = [&] {
    if (!facts.subgroup_arithmetic || facts.subgroup_size < 2 || g.x().dtype == BP_F64) return;
    const uint32_t size = std::max(group_size(facts, 4 * facts.subgroup_size), facts.subgroup_size);
    list_team("group_per_subgroup", {.team = true, .kind = Team::subgroup, .group = size}, facts.subgroup_size);
  };
  const auto list_carriers = [&] {
    // llvmpipe's loads and stores of what is carried cost more than they save.
    const bool fits = g.step == NormalizeStep::gradient && sums_are_along(op, false) && facts.cpu_like &&
                      facts.dialect == Dialect::opencl_c && lanes.along && lanes.width > 1 &&
                      g.inside.extents.size() == 1;
    NormalizeForm form = lanes;
    form.carriers = 4 * static_cast<int64_t>(facts.compute_units) * form.group;
    if (fits && groups >= 4 * form.carriers) add("group_per_item@w=" + number(form.width) + ",carried", form);
  };
  const bool short_groups = n <= 32 * static_cast<int64_t>(facts.subgroup_size);
  // llvmpipe's loads are slow, and a subgroup that holds its group of elements needs the fewest; along one axis it is no
  // slower than others even where it holds none.
  const bool subgroups_first = facts.cpu_like && facts.dialect == Dialect::glsl && lanes.along && lanes.width > 1 &&
                               (n <= kMostHeld * facts.subgroup_size || g.inside.extents.size() == 1);
  if (few) list_parts();
  list_carriers();
  if (subgroups_first) list_subgroups();
  if (facts.cpu_like || !lanes.along) list_lanes();
  if (short_groups && !subgroups_first) list_subgroups();
  if (team > 1) list_team("group_per_group@g=" + number(team), {.team = true, .group = team}, team);
  if (!short_groups && !subgroups_first) list_subgroups();
  if (!few) list_parts();
  add("group_per_item", {.group = items_group(facts)}, true);
}

}  // namespace

extern const Family kNormalizeFamily{BP_OP_NORMALIZE, nullptr, list};
extern const Family kNormalizeGradFamily{BP_OP_NORMALIZE_GRAD, nullptr, list};

}  // namespace backplane::codegen
