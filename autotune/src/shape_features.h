// SPDX-License-Identifier: Apache-2.0
// An operation as numbers that say how long kernels take: extents, attributes, work and bytes; and what a variant's
// tiles waste on it. Logarithms of 2 throughout, so that a distance of 1 is "twice as much of something".
#pragma once

#include <string>

#include "backplane/autotune/key.h"
#include "regression.h"

namespace backplane::autotune {

/// Problems whose times may be compared: same operation, dtypes, layouts, flags and length of program. Strides,
/// padding, dilation and groups may differ; features say how. (Key's problem without them.)
std::string class_of(const std::string& problem);

/// What a device reached in anything that was measured.
struct Peaks {
  double work_per_ns = 0, bytes_per_ns = 0;
  void see(const bp_op& op, double ns);
};

/// Operations of one class have equally many.
Features features_of(const bp_op& op, const Key& key, const Peaks& peaks);

/// How a variant's name cuts a result into tiles: "tile@r=8,c=2x16" 8 x 32, "tiled@bm=64,bn=32" 64 x 32; 1 x 1 when the
/// name does not say.
struct Tile {
  double rows = 1, columns = 1;
  static Tile of(const std::string& variant);
};
/// Logarithms of what is computed beyond the edges, and of the units of the device idle in the last turn.
struct Waste {
  double edges = 0, turns = 0;
};
Waste waste_of(const bp_op& op, const Tile& tile, uint32_t units);

}  // namespace backplane::autotune
