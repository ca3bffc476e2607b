// SPDX-License-Identifier: Apache-2.0
// What kernels need to know about a device that compiles C-like source. A plugin fills it once, when it opens the device;
// everything in codegen is a pure function of an operation and these facts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace backplane::codegen {

enum class Dialect { opencl_c, glsl, cuda };

/// A product of matrices that a subgroup does at once: m x k by k x n of `dtype` (f16, bf16), sums in f32.
struct CooperativeMatrix {
  uint32_t m, n, k, dtype;
};

struct DeviceFacts {
  Dialect dialect = Dialect::opencl_c;
  /// A driver that runs kernels on CPU cores (PoCL, lavapipe): local memory is ordinary memory and barriers are dear, so
  /// families offer long loops per work-item and few, large work-groups first.
  bool cpu_like = false;

  // dtypes beyond f32 and i32: as storage in buffers; f16 and bf16 are always computed in f32
  bool f16_storage = false;
  bool bf16_storage = false;  ///< 16-bit integers in buffers
  bool bool_storage = false;  ///< 8-bit integers in buffers
  bool f64 = false;
  bool i64 = false;

  uint32_t compute_units = 1;
  uint32_t max_group_size = 1;                      ///< work-items of one group
  uint32_t max_group_extent[3] = {1, 1, 1};
  uint64_t max_grid_extent[3] = {65535, 65535, 65535};  ///< groups per dimension
  uint32_t local_bytes = 0;                         ///< local (shared) memory of one group
  uint32_t subgroup_size = 0;                       ///< 0: no subgroup operations
  bool subgroup_arithmetic = false;                 ///< reductions over a subgroup
  bool subgroup_shuffle = false;
  std::vector<CooperativeMatrix> cooperative;       ///< best first; GLSL: f16 only
  uint32_t vector_width = 1;                        ///< f32 elements a CPU-like device handles best at once
  bool atomic_add_f32 = false;                      ///< on buffers

  /// How many texel buffers one kernel may have (GLSL's image buffers). 0: none, or they are no faster than other buffers.
  /// llvmpipe reads them in a third of the time, as its code for other buffers branches for each lane.
  uint32_t max_texel_buffers = 0;

  /// Loop iterations of one work-item, all its loops together; beyond, Mesa's llvmpipe leaves every loop without a word
  /// (LP_MAX_TGSI_LOOP_ITERATIONS, 65535).
  uint32_t max_loop_steps = UINT32_MAX;
  uint32_t max_buffers = 8;                         ///< buffer arguments of one kernel
  uint32_t max_words = 32;                          ///< 32-bit arguments of one kernel besides its buffers
  uint64_t max_binding_bytes = UINT64_MAX;          ///< bytes of one buffer argument
};

}  // namespace backplane::codegen
