// SPDX-License-Identifier: Apache-2.0
// Tiles of products by subgroups whose lanes share what they load (kernels/shuffle_tile.kernel): for matmul and the
// convolutions on drivers that run Vulkan on CPU cores.
#pragma once

#include "family.h"
#include "source.h"

namespace backplane::codegen {

struct ShuffleTile {
  uint32_t rows = 16, vectors = 4, lanes = 8;
  int64_t columns() const { return int64_t{vectors} * lanes; }
  std::string name() const {
    return "shuffle@r=" + std::to_string(rows) + ",c=" + std::to_string(vectors) + "x" + std::to_string(lanes);
  }
};

/// The tiles for a product of m x n results of this dtype, best first; none where the device does not suit.
std::vector<ShuffleTile> shuffle_tiles(const DeviceFacts& facts, uint32_t dtype, int64_t m, int64_t n);

/// What every such launch has in common: the tile's extents, and ROWS_OF_RESULT COLUMNS_OF_RESULT row_tiles as parameters.
void declare_shuffle_tile(Source& source, const ShuffleTile& tile, int64_t m, int64_t n);
/// `batch` times as many tiles as one product has. TILE's id counts rows of tiles fastest.
Launch finish_shuffle_tile(Source& source, const ShuffleTile& tile, int64_t m, int64_t n, int64_t batch);

/// Turns of loops beside those of INNER_LOOP.
constexpr uint64_t kShuffleTileSteps = 64;

}  // namespace backplane::codegen
