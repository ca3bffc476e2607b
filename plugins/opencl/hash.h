// SPDX-License-Identifier: Apache-2.0
// A 128-bit hash for cache keys and damage detection; not for secrets.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace backplane::opencl {

using Hash = std::array<uint64_t, 2>;

Hash hash_bytes(std::string_view bytes);
/// 32 hexadecimal digits.
std::string hash_text(std::string_view bytes);

}  // namespace backplane::opencl
