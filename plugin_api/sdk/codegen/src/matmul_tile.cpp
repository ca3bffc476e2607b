// SPDX-License-Identifier: Apache-2.0
// Matmul by tiles in the registers of single work-items (kernels/matmul_tile.kernel), with operands read in place or
// packed into panels by launches before. For drivers that run on CPU cores, and for GPUs a choice without local memory.
#include <algorithm>

#include "backplane/sdk/program.hpp"
#include "matmul.h"
#include "register_tile.h"
#include "shuffle_tile.h"
#include "vectors.h"
#include "walk.h"

namespace backplane::codegen {
namespace {

using Tile = RegisterTile;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

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
  declare_panels(source, panels, p.dtype, extent);
  const bool dense = step == 1;
  if (dense) {
    declare_vector_access(source, "x", width, p.dtype, false, false);
    declare_vector_access(source, "p", width, panel_dtype(p.dtype), true, true);
  }
  source.define("DENSE", dense ? 1 : 0);
  source.param("x_i", step);
  source.param("x_k", k_step);
  source.define("ALONG_K(k, x_off)", "int x_off = (k) * x_k;");
  declare_walk(source, "PLACE", merge_axes({&x}, 0, panels.batch == 1 ? 0 : x.rank - 2));
  return finish_panels(source, panels);
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

Launch multiply(const MatmulProblem& p, const DeviceFacts& facts, const Tile& t, const Panels& a, const Panels& b) {
  const uint32_t rank = p.y().rank, n_axis = p.swapped ? rank - 2 : rank - 1;
  const bool glsl = facts.dialect == Dialect::glsl;
  Source source(facts, "matmul.tile");
  declare_vectors(source, t.width, p.dtype);
  if (t.pack_a) source.workspace("a", panel_dtype(p.dtype), a.offset, a.elements(), false);
  else source.input("a", p.a_index, p.a());
  if (t.pack_b) source.workspace("b", panel_dtype(p.dtype), b.offset, b.elements(), false);
  else source.input("b", p.b_index, p.b());
  declare_register_tile(source, t, p.dtype, t.pack_b || steps_in_fours(p.b(), n_axis));
  const bool plain = p.op->program == nullptr && p.y_n == 1;
  declare_matmul_result(source, p);
  declare_plain_result(source, t, plain, p.y().dtype, glsl && steps_in_fours(p.y(), n_axis));
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
  const int64_t column_tiles = divide_up(p.n, t.columns());
  source.param("column_tiles", column_tiles);
  return finish_register_tile(source, divide_up(p.m, t.rows), column_tiles * p.batch);
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
  const bool in_place = p.b_n == 1 && p.n >= t.columns();
  if ((!t.pack_b && !in_place) || ((t.pack_a || t.pack_b) && p.k == 0)) return;
  uint64_t workspace = 0;
  if (t.pack_a) workspace += a_panels(p, t).bytes(p.dtype);
  if (t.pack_b) workspace += b_panels(p, t).bytes(p.dtype);
  if (workspace > facts.max_binding_bytes || workspace / 2 > INT32_MAX) return;
  out.push_back({.name = t.name(),
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
  // one; then copying pays although all is read once more, unless few rows of the result use the copy. Measured on PoCL.
  const bool lies_well = (p.n * p.k <= 512 * 1024 && p.b_k <= 1024) || p.m <= 64;
  const bool near = lies_well && (p.n % 16 == 0 || p.m * p.n <= 128 * 1024);
  const bool shared = !shuffle_tiles(facts, p.dtype, p.m, p.n).empty();
  bool first = true;
  for (const Shape& s : kShapes) {
    if (s.width != width || std::min(p.m, p.n) < s.least) continue;
    if (p.n <= width && s.vectors > 1 && width > 4) continue;  // lanes that nothing fills
    const Tile in_place{s.rows, s.vectors, width}, packed{s.rows, s.vectors, width, false, true},
        both{s.rows, s.vectors, width, true, true};
    if (facts.dialect == Dialect::glsl) {
      if (shared && (s.rows != 8 || s.vectors != 2)) continue;  // slower than those, and slow to compile
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
