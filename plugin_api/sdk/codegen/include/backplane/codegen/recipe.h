// SPDX-License-Identifier: Apache-2.0
// What codegen hands to a plugin: for one operation a list of variants, for one variant a recipe of launches. A plugin
// compiles each launch's source once and enqueues the launches in order, each after the one before it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "backplane/plugin.h"

namespace backplane::codegen {

/// One buffer argument of a launch.
struct Slot {
  enum class From { input, output, workspace };
  From from = From::input;
  uint32_t index = 0;         ///< which input or output of the operation
  uint32_t element_size = 4;  ///< bytes; the argument's offset is passed in elements
  bool written = false;
  uint64_t offset = 0;        ///< bytes after the view's own offset; in the workspace a multiple of 64
  int64_t low = 0;            ///< lowest and highest element touched, relative to the view's offset (low <= 0 <= high);
  int64_t high = 0;           ///< so a plugin that binds ranges knows which
};

/// A slot that the kernel reads as texels: its buffer is bound as a texel buffer instead, of format R32 or RGBA32 (lanes 1
/// or 4) and the element's type, and the slot's offset counts from where that texel buffer begins.
struct TexelBuffer {
  uint32_t slot = 0;
  uint32_t lanes = 1;
  uint32_t dtype = BP_F32;  ///< or BP_I32
};

/// One launch. The entry point is `bp_main`; its arguments are the slots' buffers in order, then one 32-bit integer per
/// slot (the view's offset in elements, counted from where the buffer was bound), then `words`. In OpenCL C these integers
/// are one argument, a struct: PoCL copies a launch's arguments one by one, at up to 0.15 us each (docs/opencl.md).
struct Launch {
  std::string name;                ///< for people: "matmul.blocked"
  std::string source;              ///< complete text in the device's dialect, right for any offsets
  std::string aligned_source;      ///< if not empty: faster, for offsets that are all multiples of 16 bytes
  std::vector<Slot> slots;
  std::vector<TexelBuffer> texels;  ///< bound after the slots and the place of `words_in_buffer`, which is kept free
  std::vector<int32_t> words;
  bool words_in_buffer = false;    ///< words do not fit beside the offsets: pass them as one more read-only buffer, the last (GLSL: a uniform buffer)
  std::array<uint32_t, 3> group{1, 1, 1};  ///< work-items of a work-group
  std::array<uint32_t, 3> grid{1, 1, 1};   ///< work-groups
};

struct Recipe {
  std::vector<Launch> launches;  ///< none: there is nothing to compute
};

/// One way to do an operation. `build` may be called until the operation it was listed for goes away.
struct Variant {
  std::string name;        ///< stable and self-describing: "blocked@bm=64,bn=64,bk=16"
  uint64_t workspace = 0;  ///< bytes
  double prior = 1;        ///< expected time relative to the default
  uint64_t steps = 0;      ///< at most so many turns of loops in one work-item; 0: few, whatever the extents
  uint32_t notes = 0;      ///< BP_NOTE_*
  uint32_t determinism = BP_DETERMINISM_RUN;
  std::function<Recipe()> build;
};

}  // namespace backplane::codegen
