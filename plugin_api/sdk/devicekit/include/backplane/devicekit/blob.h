// SPDX-License-Identifier: Apache-2.0
// What a plugin keeps in the host's blob cache, behind a header of its own: a blob that is damaged, was cut short or
// belongs to another device, driver or compiler reads as absent, and is built anew.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "backplane/devicekit/digest.h"
#include "backplane/sdk/negotiate.hpp"

namespace backplane::devicekit {

/// `belongs_to` names what the blob is good for (device, driver, compiler), beyond what its key says.
std::optional<std::vector<std::byte>> load_blob(const sdk::Host& host, const std::string& key,
                                                const Digest& belongs_to);
void store_blob(const sdk::Host& host, const std::string& key, const Digest& belongs_to, const void* data,
                size_t bytes);

}  // namespace backplane::devicekit
