// SPDX-License-Identifier: Apache-2.0
#include "compiler.h"

#include <shaderc/shaderc.h>
#include <cstring>
#include <memory>

#include "backplane/devicekit/blob.h"

namespace backplane::vulkan {

namespace {

constexpr uint32_t kSpirvMagic = 0x07230203;

}  // namespace

Compiler::Compiler(const sdk::Host& host) : host_(host), compiler_(shaderc_compiler_initialize()) {
  if (compiler_ == nullptr) throw sdk::Failure(BP_E_OUT_OF_HOST_MEMORY, "[vulkan] shaderc did not start");
  unsigned version = 0, revision = 0;
  shaderc_get_spv_version(&version, &revision);
  version_ = digest("shaderc spv " + std::to_string(version) + "." + std::to_string(revision) + " vulkan1.2 -O");
}

Compiler::~Compiler() { shaderc_compiler_release(compiler_); }

std::vector<uint32_t> Compiler::spirv(const std::string& source, const Digest& source_digest,
                                      const std::string& name) const {
  std::vector<uint32_t> spirv;
  const std::string key = "vulkan-spirv-" + source_digest.hex();
  if (const auto blob = devicekit::load_blob(host_, key, version_); blob && blob->size() >= 20 && blob->size() % 4 == 0) {
    spirv.resize(blob->size() / 4);
    std::memcpy(spirv.data(), blob->data(), blob->size());
    if (spirv[0] == kSpirvMagic) return spirv;
  }
  const std::unique_ptr<shaderc_compile_options, void (*)(shaderc_compile_options_t)> options(
      shaderc_compile_options_initialize(), shaderc_compile_options_release);
  shaderc_compile_options_set_target_env(options.get(), shaderc_target_env_vulkan, shaderc_env_version_vulkan_1_2);
  // A kernel that relies on the rounding of single operations says so, since spirv-opt loses NoContraction on inlined
  // code.
  const bool optimise = source.find("#pragma optimize(off)") == std::string::npos;
  shaderc_compile_options_set_optimization_level(
      options.get(), optimise ? shaderc_optimization_level_performance : shaderc_optimization_level_zero);
  const std::unique_ptr<shaderc_compilation_result, void (*)(shaderc_compilation_result_t)> compiled(
      shaderc_compile_into_spv(compiler_, source.data(), source.size(), shaderc_glsl_compute_shader, name.c_str(),
                               "main", options.get()),
      shaderc_result_release);
  if (compiled == nullptr) throw sdk::Failure(BP_E_OUT_OF_HOST_MEMORY, "[vulkan] shaderc returned nothing");
  if (shaderc_result_get_compilation_status(compiled.get()) != shaderc_compilation_status_success) {
    const std::string messages = shaderc_result_get_error_message(compiled.get());
    host_.log(BP_LOG_DEBUG, "vulkan.compiler", source);
    throw sdk::Failure(BP_E_COMPILE, "internal: [vulkan] kernel " + name + " does not compile: " + messages);
  }
  const size_t bytes = shaderc_result_get_length(compiled.get());
  spirv.resize(bytes / 4);
  std::memcpy(spirv.data(), shaderc_result_get_bytes(compiled.get()), bytes);
  devicekit::store_blob(host_, key, version_, spirv.data(), bytes);
  return spirv;
}

}  // namespace backplane::vulkan
