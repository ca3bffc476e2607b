// SPDX-License-Identifier: Apache-2.0
// SPIR-V that was compiled when the plugin was built, by the digest of the kernel's text; sorted. See precompile/.
#pragma once

#include <cstdint>
#include <span>

#include "backplane/devicekit/digest.h"

namespace backplane::vulkan {

struct Precompiled {
  devicekit::Digest text;
  std::span<const uint32_t> spirv;
};
std::span<const Precompiled> precompiled();

}  // namespace backplane::vulkan
