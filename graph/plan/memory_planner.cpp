// SPDX-License-Identifier: Apache-2.0
// Stages: requests joined by an in-place hint become one block; blocks get offsets twice and the smaller arena is kept.
//
//  best fit   in schedule order: the smallest free stretch that holds the block, free neighbours joined, the arena grown
//             only where nothing fits. O(n log n).
//  by size    largest block first, into the smallest gap between the blocks that live at the same time. O(n^2), so only
//             up to kSmall blocks. (Greedy-by-size of Pisarchyk & Lee, "Efficient Memory Management for Deep Neural Net
//             Inference", 2020.)
//
// Every size is rounded up to the largest alignment asked for, so that every offset is aligned. Not done: reordering
// launches, splitting blocks, optimal packing (NP-hard).
#include "plan/memory_planner.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

namespace backplane::graph {

namespace {

constexpr size_t kSmall = 2000;

struct Block {
  uint32_t first = 0, last = 0;
  uint64_t bytes = 0;    ///< as asked for
  uint64_t rounded = 0;
};

struct Packing {
  std::vector<uint64_t> offsets;
  uint64_t bytes = 0;
};

/// Free stretches of the arena, by place and by size.
class FreeList {
 public:
  uint64_t take(uint64_t bytes) {
    const auto fit = by_size_.lower_bound({bytes, 0});
    if (fit == by_size_.end()) return grow(bytes);
    const auto [size, offset] = *fit;
    remove(offset, size);
    if (size > bytes) insert(offset + bytes, size - bytes);
    return offset;
  }

  void give(uint64_t offset, uint64_t bytes) {
    auto next = by_offset_.lower_bound(offset);
    if (next != by_offset_.end() && next->first == offset + bytes) {
      bytes += next->second;
      const auto [at, size] = *next++;
      remove(at, size);
    }
    if (next != by_offset_.begin()) {
      const auto [at, size] = *std::prev(next);
      if (at + size == offset) {
        remove(at, size);
        offset = at;
        bytes += size;
      }
    }
    insert(offset, bytes);
  }

  uint64_t arena() const { return arena_; }

 private:
  /// Nothing fits: what is free at the end of the arena is made longer.
  uint64_t grow(uint64_t bytes) {
    uint64_t offset = arena_;
    if (!by_offset_.empty()) {
      const auto [at, size] = *std::prev(by_offset_.end());
      if (at + size == arena_) {
        offset = at;
        remove(at, size);
      }
    }
    arena_ = offset + bytes;
    return offset;
  }
  void insert(uint64_t offset, uint64_t bytes) {
    by_offset_.emplace(offset, bytes);
    by_size_.emplace(bytes, offset);
  }
  void remove(uint64_t offset, uint64_t bytes) {
    by_offset_.erase(offset);
    by_size_.erase({bytes, offset});
  }

  std::map<uint64_t, uint64_t> by_offset_;
  std::set<std::pair<uint64_t, uint64_t>> by_size_;
  uint64_t arena_ = 0;
};

template <class Less>
std::vector<uint32_t> sorted(size_t n, Less less) {
  std::vector<uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), less);
  return order;
}

Packing best_fit(std::span<const Block> blocks) {
  const auto starts = sorted(blocks.size(), [&](uint32_t a, uint32_t b) {
    return std::pair(blocks[a].first, ~blocks[a].rounded) < std::pair(blocks[b].first, ~blocks[b].rounded);
  });
  const auto ends = sorted(blocks.size(), [&](uint32_t a, uint32_t b) { return blocks[a].last < blocks[b].last; });
  Packing packing{std::vector<uint64_t>(blocks.size())};
  FreeList free;
  size_t ended = 0;
  for (uint32_t i : starts) {
    for (; ended < ends.size() && blocks[ends[ended]].last < blocks[i].first; ++ended) {
      free.give(packing.offsets[ends[ended]], blocks[ends[ended]].rounded);
    }
    packing.offsets[i] = free.take(blocks[i].rounded);
  }
  packing.bytes = free.arena();
  return packing;
}

Packing by_size(std::span<const Block> blocks) {
  const auto larger = [&](uint32_t a, uint32_t b) { return blocks[a].rounded > blocks[b].rounded; };
  const auto order = sorted(blocks.size(), larger);
  Packing packing{std::vector<uint64_t>(blocks.size())};
  std::vector<uint32_t> placed;  // by offset
  for (uint32_t i : order) {
    const Block& block = blocks[i];
    uint64_t end = 0, best = UINT64_MAX, best_gap = UINT64_MAX;
    for (uint32_t other : placed) {
      if (blocks[other].last < block.first || blocks[other].first > block.last) continue;
      const uint64_t offset = packing.offsets[other];
      const uint64_t gap = offset > end ? offset - end : 0;
      if (gap >= block.rounded && gap < best_gap) {
        best = end;
        best_gap = gap;
      }
      end = std::max(end, offset + blocks[other].rounded);
    }
    packing.offsets[i] = best != UINT64_MAX ? best : end;
    packing.bytes = std::max(packing.bytes, packing.offsets[i] + block.rounded);
    const auto at = std::upper_bound(placed.begin(), placed.end(), packing.offsets[i],
                                     [&](uint64_t offset, uint32_t other) { return offset < packing.offsets[other]; });
    placed.insert(at, i);
  }
  return packing;
}

uint64_t most_alive(std::span<const Block> blocks) {
  const auto starts = sorted(blocks.size(), [&](uint32_t a, uint32_t b) { return blocks[a].first < blocks[b].first; });
  const auto ends = sorted(blocks.size(), [&](uint32_t a, uint32_t b) { return blocks[a].last < blocks[b].last; });
  uint64_t alive = 0, most = 0;
  size_t ended = 0;
  for (uint32_t i : starts) {
    for (; ended < ends.size() && blocks[ends[ended]].last < blocks[i].first; ++ended) {
      alive -= blocks[ends[ended]].bytes;
    }
    most = std::max(most, alive += blocks[i].bytes);
  }
  return most;
}

}  // namespace

MemoryPlan plan_memory(std::span<const BufferRequest> requests) {
  constexpr uint32_t kNone = UINT32_MAX;
  uint64_t granule = 1;
  for (const BufferRequest& r : requests) granule = std::max(granule, r.alignment);
  MemoryPlan plan;
  std::vector<Block> blocks;
  std::vector<uint32_t> block_of(requests.size(), kNone);
  std::vector<bool> taken(requests.size(), false);
  for (size_t i = 0; i < requests.size(); ++i) {
    const BufferRequest& r = requests[i];
    if (r.bytes == 0) continue;
    const auto from = static_cast<size_t>(r.in_place_of);
    if (r.in_place_of >= 0 && from < i && !taken[from] && requests[from].last_use == r.first_use &&
        requests[from].bytes == r.bytes) {
      taken[from] = true;
      ++plan.in_place;
      block_of[i] = block_of[from];
      blocks[block_of[i]].last = std::max(blocks[block_of[i]].last, r.last_use);
      continue;
    }
    block_of[i] = static_cast<uint32_t>(blocks.size());
    const uint64_t rounded = (r.bytes + granule - 1) / granule * granule;
    blocks.push_back({r.first_use, std::max(r.first_use, r.last_use), r.bytes, rounded});
  }
  Packing packing = best_fit(blocks);
  plan.lower_bound = most_alive(blocks);
  if (blocks.size() <= kSmall && packing.bytes > plan.lower_bound) {
    Packing other = by_size(blocks);
    if (other.bytes < packing.bytes) packing = std::move(other);
  }
  plan.arena_bytes = packing.bytes;
  plan.offsets.assign(requests.size(), 0);
  for (size_t i = 0; i < requests.size(); ++i) {
    if (block_of[i] != kNone) plan.offsets[i] = packing.offsets[block_of[i]];
  }
  return plan;
}

}  // namespace backplane::graph
