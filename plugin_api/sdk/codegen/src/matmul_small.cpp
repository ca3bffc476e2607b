// SPDX-License-Identifier: Apache-2.0
// Matmuls that tiles do not fill: many small products, one by a work-item (kernels/matmul_small.kernel), and a few rows
// times a matrix by groups (kernels/matmul_columns.kernel), for devices that need many work-items to read a matrix.
#include <algorithm>

#include "backplane/sdk/program.hpp"
#include "matmul.h"
#include "vectors.h"

namespace backplane::codegen {
namespace {

struct Small {
  uint32_t rows, vectors, width;
};

Recipe build_small(const MatmulProblem& p, const DeviceFacts& facts, const Small& s) {
  const Product product = matmul_product(p);
  Source source(facts, "matmul.small");
  declare_vectors(source, s.width, p.dtype);
  declare_extents(source, product);
  product.operands(source);
  declare_vector_access(source, "b", s.width, p.dtype, false, false);
  product.result(source);
  source.define("ROWS", s.rows);
  source.define("VECTORS", s.vectors);
  source.define("B_WHOLE", p.b_n == 1 && p.n == int64_t{s.vectors} * s.width ? 1 : 0);
  const std::string width = std::to_string(s.width);
  source.define("VEC_OF_PART", s.width == 1 ? "part[0]"
                               : facts.dialect == Dialect::opencl_c
                                   ? "vload" + width + "(0, part)"
                                   : "make_float4(part[0], part[1], part[2], part[3])");
  source.param("batches", p.batch);
  const LinearGrid grid = linear_grid(p.batch, facts, facts.cpu_like ? 16 : 64);
  return {{source.finish(kernel_text("matmul_small"), grid.group, grid.grid)}};
}

struct Columns {
  uint32_t rows, group_x, group_y;
};

Recipe build_columns(const MatmulProblem& p, const DeviceFacts& facts, const Columns& c) {
  const Product product = matmul_product(p);
  Source source(facts, "matmul.columns");
  declare_vectors(source, 1, p.dtype);
  declare_extents(source, product);
  product.operands(source);
  product.result(source);
  source.define("ROWS", c.rows);
  source.local_array(p.dtype == BP_F64   ? "f64"
                     : p.dtype == BP_I64 ? "i64"
                     : p.dtype == BP_I32 ? "int"
                                         : "float",
                     "sums", std::to_string(c.rows * c.group_x * c.group_y));
  const int64_t column_tiles = (p.n + c.group_x - 1) / c.group_x, tiles = column_tiles * p.batch;
  source.param("column_tiles", column_tiles);
  source.param("tiles", tiles);
  const LinearGrid grid = linear_grid(tiles, facts, 1);
  source.param("grid_x", grid.grid[0]);
  return {{source.finish(kernel_text("matmul_columns"), {c.group_x, c.group_y, 1}, grid.grid)}};
}

}  // namespace

void list_small(const MatmulProblem& p, const DeviceFacts& facts, Variants& out) {
  constexpr int64_t kLargest = 16, kDeepest = 64, kFewest = 64;
  if (p.m > kLargest || p.n > kLargest || p.k > kDeepest || p.batch < kFewest) return;
  const uint32_t widest = vector_width(facts, p.dtype);
  uint32_t width = std::min(widest, 4u);
  while (width < widest && width < p.n) width *= 2;
  const uint32_t vectors = static_cast<uint32_t>((p.n + width - 1) / width);
  const uint32_t rows = static_cast<uint32_t>(std::min<int64_t>(p.m, vectors > 1 ? 4 : 8));
  const Small small{rows <= 1 ? 1u : rows <= 2 ? 2u : rows <= 4 ? 4u : 8u, vectors, width};
  out.push_back(
      {.name = "small@r=" + std::to_string(small.rows) + ",c=" + std::to_string(vectors) + "x" + std::to_string(width),
       .steps = static_cast<uint64_t>((p.m / small.rows + 1) * (p.k + 1)),
       .determinism = BP_DETERMINISM_BATCH,
       .build = [p, facts, small] { return build_small(p, facts, small); }});
}

void list_columns(const MatmulProblem& p, const DeviceFacts& facts, Variants& out) {
  if (p.b_n != 1 || p.m > 4 || p.n < 8 || p.k < 64) return;
  Columns columns{p.m == 1 ? 1u : p.m == 2 ? 2u : 4u, 32, 8};
  while (columns.group_x * columns.group_y > facts.max_group_size || columns.group_y > facts.max_group_extent[1]) {
    if (columns.group_y == 1) return;
    columns.group_y /= 2;
  }
  if (uint64_t{columns.rows} * columns.group_x * columns.group_y * 8 > facts.local_bytes) return;
  out.push_back({.name = "columns@r=" + std::to_string(columns.rows) + ",g=" + std::to_string(columns.group_x) + "x" +
                         std::to_string(columns.group_y),
                 .prior = facts.cpu_like ? 8.0 : 1.0,
                 .steps = static_cast<uint64_t>(p.k / columns.group_y) + 16,
                 .build = [p, facts, columns] { return build_columns(p, facts, columns); }});
}

}  // namespace backplane::codegen
