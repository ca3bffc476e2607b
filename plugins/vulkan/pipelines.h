// SPDX-License-Identifier: Apache-2.0
// Compute pipelines by their source text. The same text is built once, also when several threads ask at the same time;
// the least recently used ones go when there are many, unless a kernel still holds them.
//
// The driver's own cache (VkPipelineCache) is kept in the host's blob cache between processes.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "backplane/codegen/recipe.h"
#include "backplane/devicekit/recent.h"
#include "compiler.h"
#include "gpu.h"

namespace backplane::vulkan {

/// What a launch binds: storage buffers, then words that do not fit into the push constants as a uniform buffer (which
/// is counted apart, so that as many storage buffers as the device binds are left to the operands).
struct Bindings {
  uint32_t buffers = 0;
  bool words = false;
  std::vector<codegen::TexelBuffer> texels;  ///< their numbers follow the one that is kept free for the words
  uint32_t first_texels() const { return buffers + (words ? 1 : 0); }
  uint32_t count() const { return first_texels() + static_cast<uint32_t>(texels.size()); }
  /// Of the i-th of count(): its number in the kernel's text, and what it is.
  uint32_t number(uint32_t i) const { return !words && i >= buffers ? i + 1 : i; }
  bool is_texels(uint32_t i) const { return number(i) > buffers; }
  VkDescriptorType type(uint32_t i) const {
    return i < buffers      ? VK_DESCRIPTOR_TYPE_STORAGE_BUFFER
           : is_texels(i)   ? VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER
                            : VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER;
  }
};

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
  std::unordered_map<uint32_t, Layout> layouts_;  // by all of Bindings
  devicekit::Recent<Entry> entries_{2048};
  VkPipelineCache cache_ = VK_NULL_HANDLE;
  std::string cache_key_;
  Digest device_;
  Digest saved_;
};

}  // namespace backplane::vulkan
