// SPDX-License-Identifier: Apache-2.0
#include "team.h"

#include <algorithm>
#include <string>

namespace backplane::codegen {
namespace {

constexpr std::string_view kSubgroupNames[] = {
    // OpenCL C
    R"(
#pragma OPENCL EXTENSION cl_khr_subgroups : enable
#pragma OPENCL EXTENSION cl_khr_subgroup_shuffle : enable
#define SUB_ID ((int)get_sub_group_id())
#define SUB_RANK ((int)get_sub_group_local_id())
#define SUB_SIZE ((int)get_max_sub_group_size())
#define SUB_COUNT ((int)get_num_sub_groups())
#define SUB_SHUFFLE(v, step) sub_group_shuffle_xor(v, (uint)(step))
#define SUB_SUM(v) sub_group_reduce_add(v)
#define SUB_TOP(v) sub_group_reduce_max(v)
)",
    // GLSL
    R"(
#define SUB_ID int(gl_SubgroupID)
#define SUB_RANK int(gl_SubgroupInvocationID)
#define SUB_SIZE int(gl_SubgroupSize)
#define SUB_COUNT int(gl_NumSubgroups)
#define SUB_SHUFFLE(v, step) subgroupShuffleXor(v, uint(step))
#define SUB_SUM(v) subgroupAdd(v)
#define SUB_TOP(v) subgroupMax(v)
)",
    // CUDA
    R"(
#define SUB_ID ((int)(threadIdx.x >> 5))
#define SUB_RANK ((int)(threadIdx.x & 31))
#define SUB_SIZE 32
#define SUB_COUNT (GROUP_X >> 5)
#define SUB_SHUFFLE(v, step) __shfl_xor_sync(0xffffffffu, v, step)
FN float bp_sub_sum(float v) {
  for (int step = 16; step > 0; step >>= 1) v += __shfl_xor_sync(0xffffffffu, v, step);
  return v;
}
FN float bp_sub_top(float v) {
  for (int step = 16; step > 0; step >>= 1) {
    float other = __shfl_xor_sync(0xffffffffu, v, step);
    v = other > v ? other : v;
  }
  return v;
}
#define SUB_SUM(v) bp_sub_sum(v)
#define SUB_TOP(v) bp_sub_top(v)
)"};

constexpr std::string_view kSubgroupTeam = R"(
#define TEAM_UNIT ((LINEAR_ID() - LOCAL_ID(0)) / GROUP_X * SUB_COUNT + SUB_ID)
#define TEAM_RANK SUB_RANK
#define TEAM_SIZE SUB_SIZE
#define TEAM_SUM(v) v = SUB_SUM(v);
#define TEAM_TOP(v) v = SUB_TOP(v);
)";

constexpr std::string_view kGroupTeam = R"(
#define TEAM_UNIT ((LINEAR_ID() - LOCAL_ID(0)) / GROUP_X)
#define TEAM_RANK LOCAL_ID(0)
#define TEAM_SIZE GROUP_X
#define BP_ADD(a, b) ((a) + (b))
#define BP_LARGER(a, b) ((a) > (b) ? (a) : (b))
#define TEAM_SUM(v) BP_TEAM_FOLD(v, SUB_SUM, BP_ADD)
#define TEAM_TOP(v) BP_TEAM_FOLD(v, SUB_TOP, BP_LARGER)
)";

// Folds subgroups, then their results; one of them may be NaN, which a maximum may drop.
constexpr std::string_view kFoldOfSubgroups = R"(
#define BP_TEAM_FOLD(v, sub, op) v = sub(v); if (SUB_RANK == 0) { bp_fold[SUB_ID] = v; } BARRIER(); v = bp_fold[0]; \
  for (int bp_s = 1; bp_s < SUB_COUNT; ++bp_s) { v = op(v, bp_fold[bp_s]); } BARRIER();
)";
constexpr std::string_view kFoldOfItems = R"(
#define BP_TEAM_FOLD(v, sub, op) bp_fold[LOCAL_ID(0)] = v; BARRIER(); for (int bp_s = GROUP_X / 2; bp_s > 0; bp_s >>= 1) { \
  if (LOCAL_ID(0) < bp_s) { bp_fold[LOCAL_ID(0)] = op(bp_fold[LOCAL_ID(0)], bp_fold[LOCAL_ID(0) + bp_s]); } BARRIER(); } \
  v = bp_fold[0]; BARRIER();
)";

}  // namespace

uint32_t group_size(const DeviceFacts& facts, uint32_t wish, uint32_t local_bytes) {
  uint32_t limit = std::min({wish, facts.max_group_size, facts.max_group_extent[0]});
  if (local_bytes != 0) limit = std::min(limit, facts.local_bytes / local_bytes);
  uint32_t size = 1;
  while (size * 2 <= limit) size *= 2;
  return size;
}

void declare_subgroup(Source& source) { source.text(kSubgroupNames[static_cast<int>(source.facts().dialect)]); }

void declare_team(Source& source, Team team, std::string_view type, uint32_t group) {
  const DeviceFacts& facts = source.facts();
  const bool folds =
      facts.subgroup_arithmetic && type == "float" && facts.subgroup_size > 1 && group % facts.subgroup_size == 0;
  if (folds) declare_subgroup(source);
  if (team == Team::subgroup) return source.text(kSubgroupTeam);
  source.text(kGroupTeam);
  source.text(folds ? kFoldOfSubgroups : kFoldOfItems);
  source.local_array(type, "bp_fold", std::to_string(folds ? group / facts.subgroup_size : group));
}

LinearGrid team_grid(int64_t units, Team team, uint32_t group, const DeviceFacts& facts) {
  const int64_t teams = team == Team::group ? 1 : group / facts.subgroup_size;
  return linear_grid((units + teams - 1) / teams * group, facts, group);
}

}  // namespace backplane::codegen
