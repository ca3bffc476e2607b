// SPDX-License-Identifier: Apache-2.0
#include "shuffle_tile.h"

#include <algorithm>

#include "backplane/sdk/program.hpp"

namespace backplane::codegen {
namespace {

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

std::vector<ShuffleTile> shuffle_tiles(const DeviceFacts& facts, uint32_t dtype, int64_t m, int64_t n) {
  const uint32_t lanes = facts.subgroup_size;
  if (facts.dialect != Dialect::glsl || !facts.cpu_like || !facts.subgroup_shuffle) return {};
  if (!sdk::is_float(dtype) || dtype == BP_F64 || (lanes != 4 && lanes != 8 && lanes != 16)) return {};
  uint32_t vectors = 4;
  while (vectors > 1 && int64_t{vectors} / 2 * lanes >= n) vectors /= 2;
  std::vector<ShuffleTile> tiles;
  for (const uint32_t rows : {16u, 8u}) {
    if (rows >= lanes && (rows == 8 || lanes == 16 || m > 8)) tiles.push_back({rows, vectors, lanes});
  }
  return tiles;
}

void declare_shuffle_tile(Source& source, const ShuffleTile& tile, int64_t m, int64_t n) {
  source.define("ROWS", tile.rows);
  source.define("VECTORS", tile.vectors);
  source.define("LANES", tile.lanes);
  source.param("ROWS_OF_RESULT", m);
  source.param("COLUMNS_OF_RESULT", n);
  source.param("row_tiles", divide_up(m, tile.rows));
}

Launch finish_shuffle_tile(Source& source, const ShuffleTile& tile, int64_t m, int64_t n, int64_t batch) {
  const int64_t tiles = divide_up(m, tile.rows) * divide_up(n, tile.columns()) * batch;
  const LinearGrid grid = linear_grid(tiles, source.facts(), 1);
  source.define("FOLDED", grid.grid[1] > 1 ? 1 : 0);
  source.param("grid_x", grid.grid[0]);
  source.param("tiles", tiles);
  return source.finish(kernel_text("shuffle_tile"), {tile.lanes, 1, 1}, grid.grid);
}

}  // namespace backplane::codegen
