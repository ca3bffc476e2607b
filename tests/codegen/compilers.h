// SPDX-License-Identifier: Apache-2.0
// The dialects' own compilers, as far as they are here: they accept a text or say what is wrong with it. Nothing is run.
#pragma once

#include <memory>
#include <string>

namespace codegen_test {

class Compiler {
 public:
  virtual ~Compiler() = default;
  /// Why it cannot be used here; empty when it can.
  virtual std::string unavailable() const = 0;
  /// What the compiler says against `text`; empty when it accepts it.
  virtual std::string errors_in(const std::string& text) = 0;
};

/// The first device of the first OpenCL platform, as OpenCL C 1.2.
std::unique_ptr<Compiler> opencl_compiler();
/// glslc for Vulkan 1.2; spirv-val checks what it makes, where that is installed.
std::unique_ptr<Compiler> glsl_compiler();
/// NVRTC for a real architecture ("sm_80"), so that its assembler reads inline assembly too; it needs no GPU.
std::unique_ptr<Compiler> cuda_compiler(const std::string& architecture);

}  // namespace codegen_test
