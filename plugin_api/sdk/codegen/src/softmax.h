// SPDX-License-Identifier: Apache-2.0
// What the launches of SOFTMAX, LOG_SOFTMAX and their gradients have in common: operands as rows, and the forms in which a
// launch may go over them. The texts are kernels/softmax_items.kernel and softmax_groups.kernel.
#pragma once

#include <algorithm>
#include <vector>

#include "backplane/sdk/op.hpp"
#include "family.h"
#include "team.h"
#include "walk.h"

namespace backplane::codegen {

/// The operands as rows: `axis` apart from all other positions.
struct SoftmaxRows {
  SoftmaxRows(const bp_op& o, const DeviceFacts& f) : op(o), facts(f) {
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

  static constexpr int64_t kPartLength = 2048;  ///< least elements of a part of a row

  const bp_op& op;
  DeviceFacts facts;
  std::vector<const char*> names;  ///< a [, b], y
  std::vector<int64_t> steps;      ///< along the axis
  Walk walk;                       ///< over the rows
  int64_t n;
  uint32_t dtype;
};

struct SoftmaxForm {
  bool team = false;  ///< else one row a work-item
  Team kind = Team::group;
  uint32_t group = 1;
  uint32_t held = 0;  ///< elements that each work-item of a team keeps in registers; 0: it reads them again
  uint32_t width = 1;  ///< lanes
  bool along = true;  ///< lanes run along the row
  bool online = false;
  int64_t parts = 1;  ///< above 1: two launches, by way of the workspace
};

/// The launches of one form; a row in parts takes two.
Recipe build_softmax(const bp_op& op, const DeviceFacts& facts, const SoftmaxForm& form);

}  // namespace backplane::codegen
