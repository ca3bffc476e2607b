// SPDX-License-Identifier: Apache-2.0
// Ranges of large chunks of device memory, because drivers allocate slowly, and some only a few times.
//
// Small requests share chunks; large ones get chunks of their own, which are kept for the next request of about that size.
// Best fit, and neighbouring free ranges are merged. What a chunk is, the plugin says: it derives from Chunk and makes
// them; this file only counts bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace backplane::devicekit {

struct Chunk {
  virtual ~Chunk() = default;  ///< gives the memory back to the driver; must not throw
  uint64_t bytes = 0;

 private:
  friend class Pool;
  uint64_t used_ = 0;
  std::map<uint64_t, uint64_t> free_;  // offset -> bytes
};

/// A part of a chunk; `chunk` is NULL for none.
struct Range {
  Chunk* chunk = nullptr;
  uint64_t offset = 0;
  uint64_t bytes = 0;  ///< as asked for
  uint32_t kind = 0;
};

struct PoolLimits {
  uint64_t total = UINT64_MAX;    ///< bytes of all chunks together
  uint64_t largest = UINT64_MAX;  ///< bytes of one request
  uint64_t keep_idle = 0;         ///< unused chunks beyond these bytes go back at once
  uint64_t alignment = 256;       ///< of every range, bytes
  uint64_t shared_chunk = 32u << 20;
  uint64_t own_chunk_from = 1u << 20;  ///< requests of so many bytes get a chunk of their own
};

class Pool {
 public:
  /// Makes a chunk of `bytes` of the given kind (BP_MEMORY_*). Throws sdk::Failure with BP_E_OUT_OF_MEMORY when the device has
  /// no more: the pool then gives idle chunks back and asks once more.
  using Make = std::function<std::unique_ptr<Chunk>(uint64_t bytes, uint32_t kind)>;

  Pool(const PoolLimits& limits, Make make) : limits_(limits), make_(std::move(make)) {}
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// [any] Throws BP_E_OUT_OF_MEMORY, naming what was asked for and what is in use.
  Range take(uint64_t bytes, uint32_t kind);
  void give(const Range& range) noexcept;  ///< [any]

  const PoolLimits& limits() const { return limits_; }
  uint64_t used() const;      ///< bytes asked for and not given back
  uint64_t reserved() const;  ///< bytes of all chunks

 private:
  struct Arena {
    std::set<std::tuple<uint64_t, Chunk*, uint64_t>> free;  // bytes, chunk, offset: the first that fits is the best
    std::vector<std::unique_ptr<Chunk>> chunks;
  };
  Arena& arena(uint64_t bytes, uint32_t kind) { return arenas_[2 * kind + (bytes < limits_.own_chunk_from ? 0 : 1)]; }
  uint64_t rounded(uint64_t bytes) const;
  bool cut(Arena& arena, uint64_t bytes, bool shared, Range& range);
  void add_chunk(Arena& arena, uint64_t bytes, uint32_t kind);
  void trim(uint64_t keep) noexcept;

  const PoolLimits limits_;
  const Make make_;
  mutable std::mutex mutex_;
  std::map<uint32_t, Arena> arenas_;
  uint64_t used_ = 0, reserved_ = 0;
};

/// The failure that take() and makers of chunks throw.
[[noreturn]] void out_of_memory(uint64_t bytes, const std::string& why);

}  // namespace backplane::devicekit
