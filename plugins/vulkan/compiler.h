// SPDX-License-Identifier: Apache-2.0
// GLSL to SPIR-V: from the host's blob cache, else by shaderc.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backplane/devicekit/digest.h"
#include "backplane/sdk/negotiate.hpp"

struct shaderc_compiler;

namespace backplane::vulkan {

using devicekit::Digest;
using devicekit::digest;

/// [any] thread.
class Compiler {
 public:
  explicit Compiler(const sdk::Host& host);
  ~Compiler();
  Compiler(const Compiler&) = delete;
  Compiler& operator=(const Compiler&) = delete;

  /// Throws BP_E_COMPILE with the compiler's messages. `name` is for people.
  std::vector<uint32_t> spirv(const std::string& source, const Digest& source_digest, const std::string& name) const;

 private:
  const sdk::Host& host_;
  shaderc_compiler* compiler_ = nullptr;
  Digest version_;
};

}  // namespace backplane::vulkan
