// SPDX-License-Identifier: Apache-2.0
// Tiles in the registers of single work-items (kernels/matmul_tile.kernel) and the panels that they read
// (kernels/matmul_pack.kernel): what matmul and the convolutions declare alike.
#pragma once

#include "family.h"
#include "source.h"

namespace backplane::codegen {

struct RegisterTile {
  uint32_t rows = 8, vectors = 2, width = 4;
  bool pack_a = false, pack_b = false;
  int64_t columns() const { return int64_t{vectors} * width; }
  /// "tile@r=8,c=2x4"
  std::string name() const;
};

/// Panels and copies hold what is computed with, so that halves are converted once.
uint32_t panel_dtype(uint32_t dtype);

/// One operand's panels in the workspace: `span` neighbours for each k, zeros beyond the extent.
struct Panels {
  int64_t batch, panels, span, k;
  uint64_t offset = 0;
  int64_t elements() const { return batch * panels * span * k; }
  uint64_t bytes(uint32_t dtype) const;
};

/// Declares p and the kernel's extents; the caller x, WIDTH, DENSE, x_i, PLACE and ALONG_K.
void declare_panels(Source& source, const Panels& panels, uint32_t dtype, int64_t extent);
Launch finish_panels(Source& source, const Panels& panels);

/// The tile's extents and how it reads a and b, which have been declared; `b_aligned`: by whole vectors. `dtype` is the
/// operation's, in which an operand is that has no panels.
void declare_register_tile(Source& source, const RegisterTile& tile, uint32_t dtype, bool b_aligned);
/// Whether results are stored as they are, by whole vectors; after y. `aligned`: at multiples of the width.
void declare_plain_result(Source& source, const RegisterTile& tile, bool plain, uint32_t dtype, bool aligned);
Launch finish_register_tile(Source& source, int64_t row_tiles, int64_t other_tiles);

}  // namespace backplane::codegen
