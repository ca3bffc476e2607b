// SPDX-License-Identifier: Apache-2.0
// Work-items that share one unit of work and fold values together: a work-group through local memory, or a subgroup.
//
//   TEAM_UNIT              this team's number; the last ones may be beyond the units of work
//   TEAM_RANK TEAM_SIZE    the work-item's number in its team, and how many there are
//   TEAM_SUM(v) TEAM_TOP(v)    statements: v, a float variable of every work-item, becomes the team's fold
//
// Every work-item has to reach each fold, also those of teams without work: a fold inside a condition, even a uniform
// one, is what drivers get wrong.
#pragma once

#include <cstdint>
#include <string_view>

#include "source.h"

namespace backplane::codegen {

enum class Team { group, subgroup };

/// The largest power of two for a group's work-items: at most `wish`, the device's limits and, if not 0, `local_bytes`
/// of local memory per work-item.
uint32_t group_size(const DeviceFacts& facts, uint32_t wish, uint32_t local_bytes = 0);

/// What the dialects call a subgroup's things: SUB_ID SUB_RANK SUB_SIZE SUB_COUNT, SUB_SHUFFLE(v, step) for the value of the
/// work-item whose rank is this one's xor step (with subgroup_shuffle), SUB_SUM SUB_TOP (with subgroup_arithmetic).
void declare_subgroup(Source& source);

/// `type` is "float" or "f64"; a subgroup folds floats only.
void declare_team(Source& source, Team team, std::string_view type, uint32_t group);

/// The grid for `units` of work.
LinearGrid team_grid(int64_t units, Team team, uint32_t group, const DeviceFacts& facts);

}  // namespace backplane::codegen
