// SPDX-License-Identifier: Apache-2.0
// What the launches of NORMALIZE and NORMALIZE_GRAD have in common: operands as groups of elements, and the forms in
// which a launch may go over them. The texts are kernels/normalize_items.kernel and normalize_teams.kernel.
#pragma once

#include <string>
#include <vector>

#include "backplane/sdk/op.hpp"
#include "family.h"
#include "source.h"
#include "team.h"
#include "walk.h"

namespace backplane::codegen {

/// What to do; the numbers are OP of the texts. The last is the gradient (OP 2), which in passing also sums up those of
/// scale and shift, where each group has one of either.
enum class NormalizeStep { normalize = 1, gradient = 2, parameter_sums = 3, gradient_and_sums = 4 };

struct NormalizeOperand {
  std::string name;
  Slot::From from = Slot::From::input;
  uint32_t index = 0;
  bp_tensor_desc desc{};
  bool present = true;  ///< else it is only a name in the text's walks
  bool kept = true;     ///< has a place per group ...
  bool inside = true;   ///< ... and per element
};

/// The operands of one step as groups: `axes` are walked inside a group.
struct NormalizeGroups {
  NormalizeGroups(const bp_op& op, const DeviceFacts& facts, NormalizeStep step, bool dscale = true,
                  bool dshift = true);
  const bp_tensor_desc& x() const { return operands[0].desc; }
  /// x and the result have stride 1 along the last axis inside a group, or across neighbouring groups.
  bool dense(bool along) const;

  const bp_op& op;
  DeviceFacts facts;
  NormalizeStep step;
  std::vector<NormalizeOperand> operands;
  Walk kept, inside;  ///< of the operands that have places there, in order
  bool rms, statistics, dscale, dshift;
};

struct NormalizeForm {
  bool team = false;
  Team kind = Team::group;
  uint32_t group = 1;  ///< work-items of a work-group
  bool along = true;
  uint32_t width = 1;  ///< lanes
  uint32_t held = 0;   ///< elements that each work-item of a team keeps in registers; 0: it reads them again
  int64_t parts = 1;   ///< above 1: two launches, by way of the workspace
  /// Above 0: the gradient's work-items are so many, and each adds up what its groups give to dscale and dshift, element
  /// by element, in the workspace: one reading of x and dy serves both.
  int64_t carriers = 0;
};

uint64_t normalize_workspace(const NormalizeGroups& groups, const NormalizeForm& form);
/// Appends the launches of one step; its part of the workspace begins at `workspace`.
void build_normalize(const NormalizeGroups& groups, const NormalizeForm& form, uint64_t workspace, Recipe& recipe);
/// Only the last of the two launches that form.parts > 1 means; whoever filled the workspace, did so in its layout.
void fold_normalize_parts(const NormalizeGroups& groups, const NormalizeForm& form, uint64_t workspace,
                          Recipe& recipe);

}  // namespace backplane::codegen
