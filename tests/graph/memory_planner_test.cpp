// SPDX-License-Identifier: Apache-2.0
// The memory planner: whatever it packs, live buffers never overlap; and it packs well.
#include "plan/memory_planner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace backplane::graph {
namespace {

using Requests = std::vector<BufferRequest>;

/// Pairs that live at the same launch may share bytes only if one took the other's place.
void expect_sound(const Requests& requests, const MemoryPlan& plan) {
  ASSERT_EQ(plan.offsets.size(), requests.size());
  uint64_t alive_bytes = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    const BufferRequest& a = requests[i];
    EXPECT_EQ(plan.offsets[i] % a.alignment, 0u) << "request " << i;
    EXPECT_TRUE(a.bytes == 0 || plan.offsets[i] + a.bytes <= plan.arena_bytes) << "request " << i;
    for (size_t j = 0; j < i; ++j) {
      const BufferRequest& b = requests[j];
      if (a.bytes == 0 || b.bytes == 0 || a.last_use < b.first_use || b.last_use < a.first_use) continue;
      const bool apart = plan.offsets[i] + a.bytes <= plan.offsets[j] || plan.offsets[j] + b.bytes <= plan.offsets[i];
      const bool in_place = a.in_place_of == static_cast<int32_t>(j) && b.last_use == a.first_use &&
                            plan.offsets[i] == plan.offsets[j] && a.bytes == b.bytes;
      EXPECT_TRUE(apart || in_place) << "requests " << j << " and " << i;
    }
    alive_bytes += a.bytes;
  }
  EXPECT_GE(plan.arena_bytes, plan.lower_bound);
  EXPECT_LE(plan.lower_bound, alive_bytes);
}

/// Launch i writes one buffer; it is read for a while, as in a network's forward and backward sweep.
Requests random_requests(size_t n, uint64_t seed) {
  std::mt19937_64 random(seed);
  Requests requests;
  for (size_t i = 0; i < n; ++i) {
    BufferRequest r;
    r.first_use = static_cast<uint32_t>(i);
    const bool kept = random() % 8 == 0;
    r.last_use = kept ? static_cast<uint32_t>(2 * n - i) : static_cast<uint32_t>(i + random() % 4);
    r.bytes = random() % 16 == 0 ? 0 : (1 + random() % 64) * (random() % 2 == 0 ? 64 : 1000);
    r.alignment = uint64_t{1} << (random() % 9);
    if (i > 0 && random() % 3 == 0) {
      r.in_place_of = static_cast<int32_t>(i - 1 - random() % std::min<size_t>(i, 3));
      if (random() % 2 == 0) r.bytes = requests[static_cast<size_t>(r.in_place_of)].bytes;
    }
    requests.push_back(r);
  }
  return requests;
}

TEST(MemoryPlanner, NothingNeedsNothing) {
  const MemoryPlan plan = plan_memory({});
  EXPECT_EQ(plan.arena_bytes, 0u);
  EXPECT_TRUE(plan.offsets.empty());
}

TEST(MemoryPlanner, AChainTakesTwoBuffers) {
  Requests requests;
  for (uint32_t i = 0; i < 10; ++i) requests.push_back({i, i + 1, 256, 64});
  const MemoryPlan plan = plan_memory(requests);
  expect_sound(requests, plan);
  EXPECT_EQ(plan.arena_bytes, 512u);
  EXPECT_EQ(plan.lower_bound, 512u);
}

TEST(MemoryPlanner, AnInPlaceChainTakesOne) {
  Requests requests;
  for (uint32_t i = 0; i < 10; ++i) requests.push_back({i, i + 1, 256, 64, static_cast<int32_t>(i) - 1});
  const MemoryPlan plan = plan_memory(requests);
  expect_sound(requests, plan);
  EXPECT_EQ(plan.arena_bytes, 256u);
  EXPECT_EQ(plan.in_place, 9u);
}

TEST(MemoryPlanner, AHintThatDoesNotHoldIsNotFollowed) {
  const Requests still_read = {{0, 2, 256, 64}, {1, 3, 256, 64, 0}};
  const Requests other_size = {{0, 1, 256, 64}, {1, 2, 128, 64, 0}};
  const Requests taken_twice = {{0, 1, 256, 64}, {1, 2, 256, 64, 0}, {1, 2, 256, 64, 0}};
  EXPECT_EQ(plan_memory(still_read).in_place, 0u);
  EXPECT_EQ(plan_memory(other_size).in_place, 0u);
  EXPECT_EQ(plan_memory(taken_twice).in_place, 1u);
  for (const Requests& requests : {still_read, other_size, taken_twice}) expect_sound(requests, plan_memory(requests));
}

TEST(MemoryPlanner, FreedNeighboursAreJoined) {
  // Two small ones die, one as large as both takes their place.
  const Requests requests = {{0, 1, 64, 64}, {0, 1, 64, 64}, {0, 9, 64, 64}, {2, 3, 128, 64}};
  const MemoryPlan plan = plan_memory(requests);
  expect_sound(requests, plan);
  EXPECT_EQ(plan.arena_bytes, plan.lower_bound);
}

TEST(MemoryPlanner, RandomSchedulesAreSoundAndTight) {
  double worst = 1;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    const Requests requests = random_requests(5 + seed * 7, seed);
    const MemoryPlan plan = plan_memory(requests);
    expect_sound(requests, plan);
    if (plan.lower_bound != 0) {
      worst = std::max(worst, static_cast<double>(plan.arena_bytes) / static_cast<double>(plan.lower_bound));
    }
  }
  std::printf("arena / lower bound, worst of 60 schedules: %.3f\n", worst);
  EXPECT_LT(worst, 1.5);
}

TEST(MemoryPlanner, LargeSchedulesAreSound) {
  // Above the size up to which the second packing is tried; the full pairwise check is quadratic.
  const Requests requests = random_requests(3000, 7);
  expect_sound(requests, plan_memory(requests));
}

}  // namespace
}  // namespace backplane::graph
