// SPDX-License-Identifier: Apache-2.0
// What this plugin keeps in the host's blob cache, behind a header of its own: a blob that is damaged, was cut short or
// belongs to another device or driver reads as absent, and is built anew.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backplane/sdk/negotiate.hpp"

namespace backplane::vulkan {

/// 128 bits that stand for a text; not meant against an adversary.
struct Digest {
  uint64_t words[2] = {0, 0};
  bool operator==(const Digest&) const = default;
  std::string hex() const;
};
Digest digest(const void* data, size_t bytes);
inline Digest digest(std::string_view text) { return digest(text.data(), text.size()); }

/// `belongs_to` names what the blob is good for (device, driver, compiler), beyond what its key says.
std::optional<std::vector<std::byte>> load_blob(const sdk::Host& host, const std::string& key,
                                                const Digest& belongs_to);
void store_blob(const sdk::Host& host, const std::string& key, const Digest& belongs_to, const void* data,
                size_t bytes);

}  // namespace backplane::vulkan
