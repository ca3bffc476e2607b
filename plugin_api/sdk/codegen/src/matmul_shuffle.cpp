// SPDX-License-Identifier: Apache-2.0
// Matmul by tiles of subgroups (shuffle_tile.h). Operands are read where they lie, whatever their strides.
#include <algorithm>

#include "matmul.h"
#include "shuffle_tile.h"
#include "walk.h"

namespace backplane::codegen {
namespace {

constexpr int64_t kSteps = 4;  // eight are no faster and take longer to compile

Recipe build(const MatmulProblem& p, const DeviceFacts& facts, const ShuffleTile& tile) {
  const uint32_t rank = p.y().rank, column = p.swapped ? rank - 2 : rank - 1;
  const bool a_fours = p.a_k == 1 && steps_in_fours(p.a(), column);
  const bool b_fours = p.b_n == 1 && steps_in_fours(p.b(), column) && tile.vectors % 4 == 0;
  const bool plain = p.op->program == nullptr && p.y_n == 1 && b_fours && steps_in_fours(p.y(), column);
  Source source(facts, "matmul.shuffle");
  declare_shuffle_tile(source, tile, p.m, p.n);
  source.input("a", p.a_index, p.a());
  source.input("b", p.b_index, p.b());
  if (a_fours) source.vectors("a");
  if (b_fours) source.vectors("b");
  declare_matmul_result(source, p);
  if (plain) source.vectors("y");
  declare_walk(source, "PLACE", merge_axes({&p.a(), &p.b(), &p.y()}, 0, rank - 2));
  source.define("A_FOURS", a_fours ? 1 : 0);
  source.define("B_FOURS", b_fours ? 1 : 0);
  source.define("PLAIN_FOURS", plain ? 1 : 0);
  const bool tail = p.k % kSteps != 0;  // steps that do not count read the last one again
  source.define("STEPS", kSteps);
  source.define("TAIL", tail ? 1 : 0);
  source.define("HAS_STEP(q)", "(k + (q) < INNER)");
  source.define("TILE(id)",
                "int bp_rest = QUOTIENT(id, row_tiles); int row0 = (id - bp_rest * row_tiles) * ROWS; "
                "int batch = QUOTIENT(bp_rest, column_tiles); "
                "int column0 = (bp_rest - batch * column_tiles) * (VECTORS * LANES); "
                "PLACE(batch, a_place, b_place, y_place)");
  source.define("A_AT(m)", "(a_place + (m) * a_m)");
  source.define("COLUMN_PARTS(n, u, v)", "u = 0; v = (n);");
  source.define("B_AT(u, v)", "(b_place + (v) * b_n)");
  source.define("INNER_LOOP", "for (int k = 0; k < INNER; k += STEPS)");
  source.define("OFFSETS", "int a_off = k * a_k, b_off = k * b_k;");
  source.define("A_STEP(q)", tail ? "(min(q, INNER - 1 - k) * a_k)" : "((q) * a_k)");
  source.define("B_STEP(q)", tail ? "(min(q, INNER - 1 - k) * b_k)" : "((q) * b_k)");
  source.define("Y_AT(r, n)", "(y_place + (r) * y_m + (n))");
  source.define("PUT_RESULT(x, m, u, n)", "PUT(x, m, n)");
  source.param("INNER", p.k);
  source.param("a_m", p.a_m), source.param("a_k", p.a_k), source.param("b_k", p.b_k), source.param("b_n", p.b_n);
  source.param("y_m", p.y_m);
  source.param("column_tiles", (p.n + tile.columns() - 1) / tile.columns());
  return {{finish_shuffle_tile(source, tile, p.m, p.n, p.batch)}};
}

}  // namespace

void list_matmul_shuffle(const MatmulProblem& p, const DeviceFacts& facts, Variants& out) {
  if (p.k == 0) return;
  for (const ShuffleTile& tile : shuffle_tiles(facts, p.dtype, p.m, p.n)) {
    out.push_back({.name = tile.name(),
                   .prior = out.empty() ? 1 : 1.1,
                   .steps = static_cast<uint64_t>(p.k / kSteps) + kShuffleTileSteps,
                   .determinism = BP_DETERMINISM_BATCH,
                   .build = [p, facts, tile] { return build(p, facts, tile); }});
  }
}

}  // namespace backplane::codegen
