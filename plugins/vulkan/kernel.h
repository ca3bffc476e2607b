// SPDX-License-Identifier: Apache-2.0
// A prepared operation: the pipelines of its launches and what their arguments are made of. Not modified once made.
#pragma once

#include <array>
#include <vector>

#include "backplane/codegen/codegen.h"
#include "memory.h"
#include "pipelines.h"

namespace backplane::vulkan {

struct PreparedLaunch {
  PipelinePtr pipeline;
  PipelinePtr aligned;  ///< NULL, or for offsets that are all multiples of 16 bytes
  std::vector<codegen::Slot> slots;
  std::vector<int32_t> words;  ///< beside the offsets in the push constants
  Allocation word_buffer;      ///< words that do not fit there; block is NULL when they do
  std::array<uint32_t, 3> grid{1, 1, 1};
};

class Kernel {
 public:
  Kernel(Memory& memory, Pipelines& pipelines, const codegen::Variant& variant);
  ~Kernel();
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;

  const std::vector<PreparedLaunch>& launches() const { return launches_; }
  uint64_t workspace = 0;
  uint64_t build_time_ns = 0;
  char variant[96] = {};

 private:
  Memory& memory_;
  std::vector<PreparedLaunch> launches_;
};

}  // namespace backplane::vulkan
