// SPDX-License-Identifier: Apache-2.0
// Thin matmuls whose operands both lie along k, as dot products (kernels/matmul_dots.kernel): bound by reading the
// matrix.
#include <algorithm>

#include "backplane/sdk/program.hpp"
#include "matmul.h"
#include "vectors.h"

namespace backplane::codegen {
namespace {

struct Shape {
  uint32_t rows, columns, width, team;
};

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

Recipe build(const MatmulProblem& p, const DeviceFacts& facts, const Shape& s) {
  const Product product = matmul_product(p);
  Source source(facts, "matmul.dots");
  declare_vectors(source, s.width, p.dtype);
  declare_extents(source, product);
  product.operands(source);
  for (const char* name : {"a", "b"}) {
    declare_vector_access(source, name, s.width, p.dtype, false, false);
    declare_cursor(source, name, s.width, p.dtype);
  }
  product.result(source);
  source.define("ROWS", s.rows);
  source.define("COLUMNS", s.columns);
  if (s.team > 1) {
    source.local_array(p.dtype == BP_F64   ? "f64"
                       : p.dtype == BP_I64 ? "i64"
                       : p.dtype == BP_I32 ? "int"
                                           : "float",
                       "team", std::to_string(s.rows * s.columns * s.team));
  }
  const int64_t row_tiles = divide_up(p.m, s.rows), column_tiles = divide_up(p.n, s.columns);
  source.param("row_tiles", row_tiles);
  source.param("column_tiles", column_tiles);
  const int64_t tiles = row_tiles * column_tiles * p.batch;
  source.param("tiles", tiles);
  const LinearGrid grid = linear_grid(tiles, facts, 1);
  source.param("grid_x", grid.grid[0]);
  return {{source.finish(kernel_text("matmul_dots"), {s.team, 1, 1}, grid.grid)}};
}

}  // namespace

void list_dots(const MatmulProblem& p, const DeviceFacts& facts, Variants& out) {
  constexpr int64_t kThin = 4;
  if (p.a_k != 1 || p.b_k != 1 || p.k < 16 || std::min(p.m, p.n) > kThin) return;
  const uint32_t width = vector_width(facts, p.dtype),
                 team = facts.cpu_like ? 1 : std::min<uint32_t>(facts.max_group_size, 64);
  const uint32_t thin = static_cast<uint32_t>(std::min(p.m, p.n)), wide = thin == 1 ? 4 : 2;
  const Shape shape = p.m <= p.n ? Shape{thin, wide, width, team} : Shape{wide, thin, width, team};
  if (uint64_t{shape.rows} * shape.columns * team * sdk::dtype_size(p.dtype) * 2 > facts.local_bytes && team > 1)
    return;
  out.push_back({.name = "dots@r=" + std::to_string(shape.rows) + ",c=" + std::to_string(shape.columns) + "x" +
                         std::to_string(width),
                 .prior = 0.6,
                 .steps = static_cast<uint64_t>(p.k / (int64_t{width} * team)) + 64 * width,
                 .build = [p, facts, shape] { return build(p, facts, shape); }});
}

}  // namespace backplane::codegen
