// SPDX-License-Identifier: Apache-2.0
#include "kernel.h"

#include <chrono>
#include <cstring>

namespace backplane::vulkan {

Kernel::Kernel(Memory& memory, Pipelines& pipelines, const codegen::Variant& chosen)
    : workspace(chosen.workspace), memory_(memory) {
  const auto start = std::chrono::steady_clock::now();
  sdk::copy_text(variant, sizeof(variant), chosen.name);
  bool built = false;
  for (codegen::Launch& launch : chosen.build().launches) {
    PreparedLaunch& prepared = launches_.emplace_back();
    const Bindings bindings = bindings_of(launch);
    const bool both = !launch.aligned_source.empty();
    prepared.pipeline = pipelines.find(launch.source, launch.name, bindings, !both, &built);
    if (both)
      prepared.aligned = pipelines.find(launch.aligned_source, launch.name + " (aligned)", bindings, true, &built);
    prepared.slots = std::move(launch.slots);
    prepared.grid = launch.grid;
    if (launch.words_in_buffer) {
      const uint64_t bytes = launch.words.size() * sizeof(int32_t);
      prepared.word_buffer = memory.take(bytes, BP_MEMORY_STAGING);
      std::memcpy(prepared.word_buffer.mapped(), launch.words.data(), bytes);
    } else {
      prepared.words = std::move(launch.words);
    }
  }
  const auto spent = std::chrono::steady_clock::now() - start;
  if (built) {
    build_time_ns = static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count()) + 1;
  }
}

Kernel::~Kernel() {
  for (const PreparedLaunch& launch : launches_) {
    if (launch.word_buffer.block != nullptr) memory_.give(launch.word_buffer);
  }
}

}  // namespace backplane::vulkan
