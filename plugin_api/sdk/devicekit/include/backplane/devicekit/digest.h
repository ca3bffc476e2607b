// SPDX-License-Identifier: Apache-2.0
// 128 bits that stand for bytes: cache keys and the detection of damage. Not meant against an adversary.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace backplane::devicekit {

struct Digest {
  uint64_t words[2] = {0, 0};
  bool operator==(const Digest&) const = default;
  std::string hex() const;  ///< 32 digits
};

Digest digest(const void* data, size_t bytes);
inline Digest digest(std::string_view text) { return digest(text.data(), text.size()); }

struct DigestHash {
  size_t operator()(const Digest& d) const { return d.words[0]; }
};

}  // namespace backplane::devicekit
