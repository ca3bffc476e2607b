// SPDX-License-Identifier: Apache-2.0
// Random numbers drawn on the host, where neither a device nor a graph may be involved: initial weights. The same
// Philox streams as random_uniform() (random.h), so what is drawn here depends on the seed and on nothing else.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace backplane {

/// {seed low, seed high, offset low, offset high}, as the key of random_uniform.
using HostRandomKey = std::array<uint32_t, 4>;

/// Starts the host's draws anew; manual_seed() does it, too. Any thread.
void seed_host_random(uint64_t seed);
/// The key for one draw, advancing the host's generator. Never one that next_random_key() gives. Any thread.
HostRandomKey next_host_random_key();
/// Uniform in [0, 1), multiples of 2^-24: the numbers that random_uniform gives for this key.
void host_uniform(const HostRandomKey& key, std::span<float> out);
/// Mean 0, variance 1 (Box and Muller, 1958), rounded from double.
void host_normal(const HostRandomKey& key, std::span<float> out);

}  // namespace backplane
