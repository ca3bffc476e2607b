// SPDX-License-Identifier: Apache-2.0
// What a kernel and the emulator share about a thread.
#pragma once

struct uint3 {
  unsigned x, y, z;
};
using dim3 = uint3;

/// One thread of a block, as emulator and kernel share it.
struct EmulatedThread {
  uint3 thread, block, block_size, grid_size;
  int linear;                                   // its number in the block
  int count;                                    // threads of the block
  unsigned long long exchanged;                 // what this lane shows to its warp
  void (*wait)(EmulatedThread* self, int kind);  // 0: the block, 1: the warp
};
