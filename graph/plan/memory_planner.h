// SPDX-License-Identifier: Apache-2.0
// Where intermediate tensors lie in one arena.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace backplane::graph {

/// A buffer that is written at launch `first_use` and needed up to and including launch `last_use`.
struct BufferRequest {
  uint32_t first_use = 0, last_use = 0;
  uint64_t bytes = 0;
  uint64_t alignment = 1;    ///< a power of two
  int32_t in_place_of = -1;  ///< an earlier request whose memory this one may take over, -1 = none. Followed when that
                             ///< one's last use is this one's first, it has the same size, and nobody else took it.
};

struct MemoryPlan {
  std::vector<uint64_t> offsets;  ///< one per request; that of an empty request means nothing
  uint64_t arena_bytes = 0;
  uint64_t lower_bound = 0;       ///< most bytes alive at one launch: no plan can do with less
  uint32_t in_place = 0;          ///< hints followed
};

MemoryPlan plan_memory(std::span<const BufferRequest> requests);

}  // namespace backplane::graph
