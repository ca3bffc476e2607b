// SPDX-License-Identifier: Apache-2.0
// Philox4x32-10 on the host. Flat element e is word e % 4 of the block with counter e / 4, as in
// graph/ops/random.cpp.
#include "backplane/host_random.h"

#include <cmath>
#include <mutex>
#include <numbers>
#include <vector>

namespace backplane {
namespace {

struct State {
  std::mutex mutex;
  uint64_t seed = 0x5eed;  // as the default generator's
  uint64_t draws = 0;
};
State& state() {
  static State instance;
  return instance;
}

/// Device draws count their offset up from 0: the top bit keeps the host's apart.
constexpr uint64_t kHostOffset = uint64_t{1} << 63;
constexpr int kRounds = 10;
constexpr uint64_t kMultiplier[2] = {0xD2511F53, 0xCD9E8D57};
constexpr uint32_t kWeyl[2] = {0x9E3779B9, 0xBB67AE85};

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> c, uint32_t k0, uint32_t k1) {
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t p0 = kMultiplier[0] * c[0], p1 = kMultiplier[1] * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(p0)};
    k0 += kWeyl[0];
    k1 += kWeyl[1];
  }
  return c;
}

}  // namespace

void seed_host_random(uint64_t seed) {
  const std::lock_guard lock(state().mutex);
  state().seed = seed;
  state().draws = 0;
}

HostRandomKey next_host_random_key() {
  const std::lock_guard lock(state().mutex);
  const uint64_t offset = kHostOffset | state().draws++;
  return {static_cast<uint32_t>(state().seed), static_cast<uint32_t>(state().seed >> 32),
          static_cast<uint32_t>(offset), static_cast<uint32_t>(offset >> 32)};
}

void host_uniform(const HostRandomKey& key, std::span<float> out) {
  std::array<uint32_t, 4> block{};
  for (size_t e = 0; e < out.size(); ++e) {
    const uint64_t counter = e / 4;
    if (e % 4 == 0) {
      block = philox({static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32), key[2], key[3]}, key[0],
                     key[1]);
    }
    out[e] = static_cast<float>(block[e % 4] >> 8) * 0x1p-24f;
  }
}

void host_normal(const HostRandomKey& key, std::span<float> out) {
  std::vector<float> u(out.size() * 2);
  host_uniform(key, u);
  for (size_t i = 0; i < out.size(); ++i) {
    // 1 - u keeps the logarithm's argument in (0, 1].
    const double radius = std::sqrt(-2 * std::log(1.0 - u[i]));
    out[i] = static_cast<float>(radius * std::cos(2 * std::numbers::pi * u[out.size() + i]));
  }
}

}  // namespace backplane
