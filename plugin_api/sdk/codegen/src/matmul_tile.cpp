// SPDX-License-Identifier: Apache-2.0
// Matmul by tiles in the registers of single work-items (kernels/matmul_tile.kernel), with operands read in place or
// packed into panels by launches before. For drivers that run on CPU cores, and for GPUs a choice without local memory.
#include <algorithm>

#include "backplane/sdk/program.hpp"
#include "matmul.h"
#include "vectors.h"
#include "walk.h"

namespace backplane::codegen {
namespace {

struct Tile {
  uint32_t rows = 8, vectors = 2, width = 4;
  bool pack_a = false, pack_b = false;
  int64_t columns() const { return int64_t{vectors} * width; }
};

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
uint64_t round_up(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

/// Panels hold what is computed with, so that halves are converted once.
uint32_t panel_dtype(uint32_t dtype) { return dtype == BP_F16 || dtype == BP_BF16 ? uint32_t{BP_F32} : dtype; }

/// One operand's panels in the workspace.
struct Panels {
  int64_t batch, panels, span, k;
  uint64_t offset = 0;
  int64_t elements() const { return batch * panels * span * k; }
  uint64_t bytes(uint32_t dtype) const {
    return round_up(static_cast<uint64_t>(elements()) * sdk::dtype_size(panel_dtype(dtype)));
  }
};
Panels a_panels(const MatmulProblem& p, const Tile& t) {
  return {p.a_shared ? 1 : p.batch, divide_up(p.m, t.rows), t.rows, p.k};
}
Panels b_panels(const MatmulProblem& p, const Tile& t) {
  return {p.b_shared ? 1 : p.batch, divide_up(p.n, t.columns()), t.columns(), p.k};
}

Launch pack(const MatmulProblem& p, const DeviceFacts& facts, uint32_t width, char which, const Panels& panels) {
  const bool first = which == 'a';
  const bp_tensor_desc& x = first ? p.a() : p.b();
  const int64_t step = first ? p.a_m : p.b_n, k_step = first ? p.a_k : p.b_k, extent = first ? p.m : p.n;
  Source source(facts, std::string("matmul.pack_") + which);
  while (panels.span % width != 0) width /= 2;
  declare_vectors(source, width, p.dtype);
  source.input("x", first ? p.a_index : p.b_index, x);
  source.workspace("p", panel_dtype(p.dtype), panels.offset, panels.elements(), true);
  const bool dense = step == 1;
  if (dense) {
    declare_vector_access(source, "x", width, p.dtype, false, false);
    declare_vector_access(source, "p", width, panel_dtype(p.dtype), true, true);
  }
  source.define("DENSE", dense ? 1 : 0);
  source.define("SPAN", panels.span);
  source.define("STEPS", 32);
  const int64_t chunks = divide_up(p.k, 32), total = panels.batch * panels.panels * chunks;
  source.param("chunks", chunks);
  source.param("panels", panels.panels);
  source.param("extent", extent);
  source.param("INNER", p.k);
  source.param("total", total);
  source.param("x_i", step);
  source.param("x_k", k_step);
  source.define("ALONG_K(k, x_off)", "int x_off = (k) * x_k;");
  declare_walk(source, "PLACE", merge_axes({&x}, 0, panels.batch == 1 ? 0 : x.rank - 2));
  const LinearGrid grid = linear_grid(total, facts, facts.cpu_like ? 4 : 0);
  return source.finish(kernel_text("matmul_pack"), grid.group, grid.grid);
}

/// TILE(id): which tile a work-item has, rows running fastest, so that neighbours share the columns' operand in cache.
std::string tile_statement(const MatmulProblem& p, const Tile& t) {
  std::string s =
      "int bp_rest = TO_INT(TO_UINT(id) / TO_UINT(row_tiles)); int row_tile = id - bp_rest * row_tiles; "
      "int batch = TO_INT(TO_UINT(bp_rest) / TO_UINT(column_tiles)); int column_tile = bp_rest - batch * column_tiles; "
      "PLACE(batch, a_place, b_place, y_place) int row0 = row_tile * ROWS, column0 = column_tile * COLUMNS; "
      "int rows_left = ROWS_OF_RESULT - row0, skip = 0; ";
  if (t.pack_a)
    s += std::string("int a_start = (") + (p.a_shared ? "" : "batch * row_tiles + ") + "row_tile) * INNER * ROWS; ";
  else s += "int a_start = a_place; ";
  if (t.pack_b) {
    s += std::string("int b_start = (") + (p.b_shared ? "" : "batch * column_tiles + ") +
         "column_tile) * INNER * COLUMNS; ";
  } else {
    s += "skip = max(column0 - (COLUMNS_OF_RESULT - COLUMNS), 0); column0 -= skip; int b_start = b_place + column0; ";
  }
  return s + "int columns_left = COLUMNS_OF_RESULT - column0;";
}

/// Whether positions in the operand are multiples of 4 whenever they are for a column that is.
bool steps_in_fours(const bp_tensor_desc& desc, uint32_t dense_axis) {
  for (uint32_t axis = 0; axis < desc.rank; ++axis) {
    if (axis != dense_axis && desc.shape[axis] > 1 && desc.strides[axis] % 4 != 0) return false;
  }
  return desc.shape[dense_axis] % 4 == 0;
}

Launch multiply(const MatmulProblem& p, const DeviceFacts& facts, const Tile& t, const Panels& a, const Panels& b) {
  const uint32_t rank = p.y().rank, n_axis = p.swapped ? rank - 2 : rank - 1;
  const bool glsl = facts.dialect == Dialect::glsl;
  Source source(facts, "matmul.tile");
  declare_vectors(source, t.width, p.dtype);
  source.define("ROWS", t.rows);
  source.define("VECTORS", t.vectors);
  source.define("A_PACKED", t.pack_a ? 1 : 0);
  if (t.pack_a) source.workspace("a", panel_dtype(p.dtype), a.offset, a.elements(), false);
  else source.input("a", p.a_index, p.a());
  const bool fours = t.pack_a && t.rows % 4 == 0 && t.width == 4 && facts.dialect != Dialect::opencl_c;
  if (fours) source.vectors("a");
  source.define("A_IN_FOURS", fours ? 1 : 0);
  declare_cursor(source, "a", 1, t.pack_a ? panel_dtype(p.dtype) : p.dtype);
  if (t.pack_b) source.workspace("b", panel_dtype(p.dtype), b.offset, b.elements(), false);
  else source.input("b", p.b_index, p.b());
  declare_vector_access(source, "b", t.width, t.pack_b ? panel_dtype(p.dtype) : p.dtype, false,
                        t.pack_b || steps_in_fours(p.b(), n_axis));
  declare_cursor(source, "b", t.width, t.pack_b ? panel_dtype(p.dtype) : p.dtype);
  const bool plain = p.op->program == nullptr && p.y_n == 1;
  source.define("PLAIN", plain ? 1 : 0);
  declare_matmul_result(source, p);
  if (plain) declare_vector_access(source, "y", t.width, p.y().dtype, true, glsl && steps_in_fours(p.y(), n_axis));
  declare_walk(source, "PLACE", merge_axes({&p.a(), &p.b(), &p.y()}, 0, rank - 2));
  source.param("ROWS_OF_RESULT", p.m);
  source.param("COLUMNS_OF_RESULT", p.n);
  source.param("INNER", p.k);
  source.param("a_m", p.a_m);
  source.param("a_k", p.a_k);
  source.param("y_m", p.y_m);
  source.define("B_PLACE", "0");
  if (!t.pack_b) source.param("b_k", p.b_k);
  source.define("NEXT_B", t.pack_b ? "b_here += COLUMNS;" : "b_here += b_k;");
  source.define("B_APART", "WIDTH");
  source.define("WHOLE", "(rows_left >= ROWS && columns_left >= COLUMNS && skip == 0)");
  source.define("Y_PLACE(r, j)", "(y_place + (row0 + (r)) * y_m + column0 + (j) * WIDTH)");
  source.define("COLUMN(j)", "column0 + (j) * WIDTH");
  source.define("LANE_FROM(j)", "max(skip - (j) * WIDTH, 0)");
  source.define("LANE_TO(j)", "min(columns_left - (j) * WIDTH, WIDTH)");
  source.define("INNER_LOOP", "for (int k = 0; k < INNER; ++k)");
  source.define("TILE(id)", tile_statement(p, t));
  const int64_t row_tiles = divide_up(p.m, t.rows), column_tiles = divide_up(p.n, t.columns());
  source.param("row_tiles", row_tiles);
  source.param("column_tiles", column_tiles);
  const int64_t tiles = row_tiles * column_tiles * p.batch;
  source.param("tiles", tiles);
  // Work-items of a driver that runs on CPU cores: one is a core's vector unit in OpenCL, one of its lanes in Vulkan.
  const uint32_t lanes = facts.subgroup_size != 0 ? facts.subgroup_size : 4;
  const LinearGrid grid = linear_grid(tiles, facts, !facts.cpu_like ? 64 : glsl ? lanes : 1);
  return source.finish(kernel_text("matmul_tile"), grid.group, grid.grid);
}

Recipe build(const MatmulProblem& p, const DeviceFacts& facts, const Tile& t) {
  Recipe recipe;
  Panels a = a_panels(p, t), b = b_panels(p, t);
  if (t.pack_a) b.offset = a.bytes(p.dtype);
  if (t.pack_a) recipe.launches.push_back(pack(p, facts, t.width, 'a', a));
  if (t.pack_b) recipe.launches.push_back(pack(p, facts, t.width, 'b', b));
  recipe.launches.push_back(multiply(p, facts, t, a, b));
  return recipe;
}

/// Turns of the loops over a tile's rows and columns and over a packed panel, beside those over k.
constexpr uint64_t kTileSteps = 4096;

void offer(const MatmulProblem& p, const DeviceFacts& facts, const Tile& t, double prior, Variants& out) {
  std::string name =
      "tile@r=" + std::to_string(t.rows) + ",c=" + std::to_string(t.vectors) + "x" + std::to_string(t.width);
  if (t.pack_a) name += ",pack_a";
  if (t.pack_b) name += ",pack_b";
  const bool in_place = p.b_n == 1 && p.n >= t.columns();
  if ((!t.pack_b && !in_place) || ((t.pack_a || t.pack_b) && p.k == 0)) return;
  uint64_t workspace = 0;
  if (t.pack_a) workspace += a_panels(p, t).bytes(p.dtype);
  if (t.pack_b) workspace += b_panels(p, t).bytes(p.dtype);
  if (workspace > facts.max_binding_bytes || workspace / 2 > INT32_MAX) return;
  out.push_back({.name = name,
                 .workspace = workspace,
                 .prior = prior,
                 .steps = static_cast<uint64_t>(2 * p.k) + kTileSteps,
                 .determinism = BP_DETERMINISM_BATCH,
                 .build = [p, facts, t] { return build(p, facts, t); }});
}

}  // namespace

namespace {

/// Tiles by vector width, best first: those that fill the vector registers without spilling (16: 32 registers, 8: 16),
/// where loads are dear (Vulkan on CPU cores, width 4) the larger the better. `least`: fewest rows and columns it is
/// for. On AVX-512 the first reached oneDNN's speed, the others win on some shapes.
struct Shape {
  uint32_t width, rows, vectors;
  int64_t least;
};
constexpr Shape kShapes[] = {
    {16, 8, 2, 0}, {16, 12, 2, 64}, {16, 8, 3, 96}, {16, 8, 1, 0}, {8, 6, 2, 0}, {8, 4, 2, 0},
    {8, 8, 1, 0},  {4, 16, 4, 64},  {4, 8, 2, 0},   {4, 4, 2, 0},  {2, 4, 2, 0}, {1, 4, 4, 0},
};
constexpr Shape kRowShapes[] = {{16, 1, 4, 0}, {8, 1, 4, 0}, {4, 1, 4, 0}, {2, 1, 4, 0}, {1, 1, 4, 0}};

}  // namespace

void list_tiles(const MatmulProblem& p, const DeviceFacts& facts, Variants& out) {
  const uint32_t width = vector_width(facts, p.dtype);
  if (!facts.cpu_like) return offer(p, facts, {4, 1, width}, 2, out);
  if (p.m == 1) {
    for (const Shape& s : kRowShapes) {
      if (s.width == width) offer(p, facts, {s.rows, s.vectors, width}, 0.5, out);
    }
  }
  // Rows far apart cost address translations and collide in the caches, and edges of unpacked tiles are stored one by
  // one; then copying pays although all is read once more.
  const bool near = p.n * p.k <= 512 * 1024 && p.b_k <= 1024 && p.n % 16 == 0;
  bool first = true;
  for (const Shape& s : kShapes) {
    if (s.width != width || std::min(p.m, p.n) < s.least) continue;
    if (p.n <= width && s.vectors > 1 && width > 4) continue;  // lanes that nothing fills
    const Tile in_place{s.rows, s.vectors, width}, packed{s.rows, s.vectors, width, false, true},
        both{s.rows, s.vectors, width, true, true};
    if (facts.dialect == Dialect::glsl) {
      offer(p, facts, both, 1, out);
      if (s.rows <= 8) offer(p, facts, in_place, 1.3, out);
      continue;
    }
    if (near) offer(p, facts, in_place, 1, out);
    offer(p, facts, packed, 1.05, out);
    if (first && !near) offer(p, facts, in_place, 2, out);
    if (first) offer(p, facts, both, 1.1, out);
    first = false;
  }
}

}  // namespace backplane::codegen
