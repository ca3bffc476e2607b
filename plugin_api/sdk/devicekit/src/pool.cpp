// SPDX-License-Identifier: Apache-2.0
#include "backplane/devicekit/pool.h"

#include <algorithm>

#include "backplane/sdk/error.hpp"

namespace backplane::devicekit {
namespace {

constexpr uint64_t kLargeStep = 64u << 10;  // what large requests are rounded to, so that chunks fit again

uint64_t round_up(uint64_t bytes, uint64_t step) { return (bytes + step - 1) / step * step; }

}  // namespace

void out_of_memory(uint64_t bytes, const std::string& why) {
  throw sdk::Failure(BP_E_OUT_OF_MEMORY,
                     "[memory] cannot allocate " + std::to_string(bytes) + " bytes: " + why +
                         "; free buffers or use smaller batches",
                     BP_SCOPE_CALL, BP_ERROR_RETRYABLE);
}

uint64_t Pool::rounded(uint64_t bytes) const {
  bytes = std::max<uint64_t>(bytes, 1);
  return round_up(bytes, bytes < limits_.own_chunk_from ? limits_.alignment : std::max(kLargeStep, limits_.alignment));
}

Range Pool::take(uint64_t bytes, uint32_t kind) {
  if (bytes > limits_.largest) {
    out_of_memory(bytes, "this device allocates at most " + std::to_string(limits_.largest) + " at once");
  }
  const bool shared = bytes < limits_.own_chunk_from;
  const uint64_t size = rounded(bytes);
  Range range{nullptr, 0, bytes, kind};
  std::lock_guard<std::mutex> lock(mutex_);
  Arena& from = arena(bytes, kind);
  if (!cut(from, size, shared, range)) {
    try {
      add_chunk(from, shared ? std::max(size, std::min(limits_.shared_chunk, limits_.largest)) : size, kind);
    } catch (const sdk::Failure& failure) {
      if (failure.code != BP_E_OUT_OF_MEMORY) throw;
      trim(0);
      add_chunk(from, size, kind);
    }
    cut(from, size, shared, range);
  }
  used_ += bytes;
  return range;
}

bool Pool::cut(Arena& arena, uint64_t bytes, bool shared, Range& range) {
  const auto at = arena.free.lower_bound({bytes, nullptr, 0});
  if (at == arena.free.end()) return false;
  const auto [size, chunk, offset] = *at;
  // A large range that would be cut in half is better kept for a request of its own size.
  if (!shared && size > 2 * bytes) return false;
  if (size > bytes) {
    chunk->free_.emplace(offset + bytes, size - bytes);
    arena.free.emplace(size - bytes, chunk, offset + bytes);
  }
  chunk->free_.erase(offset);
  arena.free.erase(at);
  chunk->used_ += bytes;
  range.chunk = chunk;
  range.offset = offset;
  return true;
}

void Pool::give(const Range& range) noexcept {
  if (range.chunk == nullptr) return;
  std::lock_guard<std::mutex> lock(mutex_);
  Arena& to = arena(range.bytes, range.kind);
  Chunk& chunk = *range.chunk;
  uint64_t offset = range.offset, bytes = rounded(range.bytes);
  used_ -= range.bytes;
  chunk.used_ -= bytes;
  const auto swallow = [&](std::map<uint64_t, uint64_t>::iterator neighbour) {
    offset = std::min(offset, neighbour->first);
    bytes += neighbour->second;
    to.free.erase({neighbour->second, &chunk, neighbour->first});
    chunk.free_.erase(neighbour);
  };
  if (const auto after = chunk.free_.find(offset + bytes); after != chunk.free_.end()) swallow(after);
  if (auto before = chunk.free_.lower_bound(offset); before != chunk.free_.begin()) {
    --before;
    if (before->first + before->second == offset) swallow(before);
  }
  try {
    chunk.free_.emplace(offset, bytes);
    to.free.emplace(bytes, &chunk, offset);
  } catch (...) {  // no host memory to note it: this piece is lost until its chunk goes
    chunk.free_.erase(offset);
  }
  if (chunk.used_ == 0) trim(limits_.keep_idle);
}

void Pool::add_chunk(Arena& arena, uint64_t bytes, uint32_t kind) {
  if (reserved_ + bytes > limits_.total) {
    trim(0);
    if (reserved_ + bytes > limits_.total) {
      out_of_memory(bytes, std::to_string(used_) + " of " + std::to_string(limits_.total) + " bytes are in use");
    }
  }
  std::unique_ptr<Chunk> chunk = make_(bytes, kind);
  chunk->bytes = bytes;
  Chunk* const at = chunk.get();
  arena.chunks.push_back(std::move(chunk));
  reserved_ += bytes;
  at->free_.emplace(0, bytes);
  arena.free.emplace(bytes, at, 0);
}

/// Gives chunks that nobody uses back until those that are left hold at most `keep` bytes.
void Pool::trim(uint64_t keep) noexcept {
  uint64_t idle = 0;
  for (const auto& [key, arena] : arenas_) {
    for (const auto& chunk : arena.chunks) idle += chunk->used_ == 0 ? chunk->bytes : 0;
  }
  for (auto& [key, arena] : arenas_) {
    std::erase_if(arena.chunks, [&](const std::unique_ptr<Chunk>& chunk) {
      if (chunk->used_ != 0 || idle <= keep) return false;
      for (const auto& [offset, bytes] : chunk->free_) arena.free.erase({bytes, chunk.get(), offset});
      idle -= chunk->bytes;
      reserved_ -= chunk->bytes;
      return true;
    });
  }
}

uint64_t Pool::used() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return used_;
}
uint64_t Pool::reserved() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return reserved_;
}

}  // namespace backplane::devicekit
