// SPDX-License-Identifier: Apache-2.0
// Compute pipelines by their source text. The same text is built once, also when several threads ask at the same time;
// the least recently used ones go when there are many, unless a kernel still holds them.
//
// The driver's own cache (VkPipelineCache) is kept in the host's blob cache between processes.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "backplane/codegen/recipe.h"
#include "backplane/devicekit/recent.h"
#include "compiler.h"
#include "gpu.h"

namespace backplane::vulkan {

/// One of what a launch binds: storage buffers, as a uniform buffer words that do not fit into the push constants, and
/// texel buffers, which stand for the storage buffers of their slots.
struct Binding {
  uint32_t number;              ///< in the kernel's text
  VkDescriptorType type;
  uint32_t place;               ///< which of the launch's slots; the one after them: the words
  codegen::TexelBuffer texels;  ///< of a texel buffer
};
using Bindings = std::vector<Binding>;

Bindings bindings_of(const codegen::Launch& launch);

/// What launches with the same bindings have in common.
struct Layout {
  VkDescriptorSetLayout set = VK_NULL_HANDLE;
  VkPipelineLayout pipeline = VK_NULL_HANDLE;
};

struct Pipeline {
  explicit Pipeline(Gpu& gpu) : gpu(gpu) {}
  ~Pipeline() { gpu.vk.DestroyPipeline(gpu.handle, handle, nullptr); }
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;
  Gpu& gpu;
  VkPipeline handle = VK_NULL_HANDLE;
  const Layout* layout = nullptr;
  Bindings bindings;
};
using PipelinePtr = std::shared_ptr<const Pipeline>;

class Pipelines {
 public:
  Pipelines(Gpu& gpu, const Compiler& compiler);
  ~Pipelines();
  Pipelines(const Pipelines&) = delete;
  Pipelines& operator=(const Pipelines&) = delete;

  /// What runs a pipeline without work, so that the driver finishes compiling it.
  using Warm = std::function<void(const Pipeline&)>;
  void set_warm(Warm warm) { warm_ = std::move(warm); }

  /// [any] *built is set to true when anything had to be compiled or created. `soon`: it is going to be used at once.
  PipelinePtr find(const std::string& source, const std::string& name, const Bindings& bindings, bool soon, bool* built);

 private:
  struct Entry {
    std::mutex building;
    PipelinePtr pipeline;
  };

  const Layout& layout(const Bindings& bindings);
  PipelinePtr build(const std::string& source, const Digest& key, const std::string& name, const Bindings& bindings);
  void save();

  Gpu& gpu_;
  const Compiler& compiler_;
  Warm warm_;
  std::mutex mutex_;
  std::map<std::vector<uint32_t>, Layout> layouts_;  // by each binding's number and type
  devicekit::Recent<Entry> entries_{2048};
  VkPipelineCache cache_ = VK_NULL_HANDLE;
  std::string cache_key_;
  Digest device_;
  Digest saved_;
};

}  // namespace backplane::vulkan
