// SPDX-License-Identifier: Apache-2.0
// Products by work-groups with tiles in local memory (kernels/matmul_group.kernel), k in one piece or split over
// groups: the ways of a GPU. Tile sizes after Volkov and Demmel, "Benchmarking GPUs to tune dense linear algebra"
// (2008), and the parameters that CLBlast's tuner finds; none of them could be measured on a GPU yet.
#include <algorithm>

#include "backplane/sdk/program.hpp"
#include "product.h"
#include "vectors.h"

namespace backplane::codegen {
namespace {

struct Tiling {
  uint32_t m, n, k, item_m, item_n, stages;
  int64_t least;  ///< rows and columns it is for
  uint32_t group_x() const { return n / item_n; }
  uint32_t group_y() const { return m / item_m; }
  uint64_t local_bytes(uint32_t element) const { return uint64_t{stages} * k * (m + 1 + n + 1) * element; }
};
constexpr Tiling kTilings[] = {
    {128, 128, 16, 8, 8, 1, 512}, {128, 128, 8, 8, 8, 2, 512}, {64, 64, 16, 4, 4, 1, 0},
    {64, 64, 16, 4, 4, 2, 128},   {32, 32, 16, 2, 2, 1, 0},    {16, 64, 16, 1, 4, 1, 0},
};

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
uint32_t sum_dtype(uint32_t dtype) {
  return dtype == BP_F16 || dtype == BP_BF16 || sdk::is_f8(dtype) ? uint32_t{BP_F32} : dtype;
}
int64_t partial_elements(const Product& p, int64_t parts) { return p.batch * parts * p.m * p.n; }

/// The second launch of a split sum.
Launch add_up(const std::string& prefix, const Product& p, const DeviceFacts& facts, int64_t parts) {
  Source source(facts, prefix + "sum");
  declare_vectors(source, 1, p.dtype);
  declare_extents(source, p);
  p.result(source);
  source.workspace("partial", sum_dtype(p.dtype), 0, partial_elements(p, parts), false);
  source.param("parts", parts);
  const int64_t total = p.batch * p.m * p.n;
  source.param("total", total);
  const LinearGrid grid = linear_grid(total, facts);
  return source.finish(kernel_text("matmul_sum"), grid.group, grid.grid);
}

Recipe build(const std::string& prefix, const Product& p, const DeviceFacts& facts, const Tiling& t, int64_t parts) {
  Source source(facts, prefix + "group");
  declare_vectors(source, 1, p.dtype);
  declare_extents(source, p);
  p.operands(source);
  if (parts == 1) {
    p.result(source);
    source.define("RESULT(v, m, n)", "PUT(v, m, n)");
  } else {
    source.workspace("partial", sum_dtype(p.dtype), 0, partial_elements(p, parts), true);
    source.define("RESULT(v, m, n)",
                  "STORE_partial(((batch * PARTS + part) * ROWS_OF_RESULT + m) * COLUMNS_OF_RESULT + n, v);");
  }
  source.define("TILE_M", t.m), source.define("TILE_N", t.n), source.define("TILE_K", t.k);
  source.define("ITEM_M", t.item_m), source.define("ITEM_N", t.item_n), source.define("STAGES", t.stages);
  source.define("PARTS", parts);
  source.define("A_ALONG_K", p.a_along_k ? 1 : 0), source.define("B_ALONG_K", p.b_along_k ? 1 : 0);
  const std::string type = std::string(p.dtype == BP_F64   ? "f64"
                                       : p.dtype == BP_I64 ? "i64"
                                       : p.dtype == BP_I32 ? "int"
                                                           : "float");
  source.local_array(type, "tile_a", std::to_string(t.stages * t.k * (t.m + 1)));
  source.local_array(type, "tile_b", std::to_string(t.stages * t.k * (t.n + 1)));
  const int64_t row_tiles = divide_up(p.m, t.m), column_tiles = divide_up(p.n, t.n);
  source.param("row_tiles", row_tiles);
  source.param("column_tiles", column_tiles);
  source.param("batches", p.batch);
  source.param("part_length", divide_up(divide_up(p.k, parts), t.k) * t.k);
  const int64_t groups = row_tiles * column_tiles * p.batch * parts;
  const LinearGrid grid = linear_grid(groups, facts, 1);
  source.param("grid_x", grid.grid[0]);
  Recipe recipe;
  recipe.launches.push_back(source.finish(kernel_text("matmul_group"), {t.group_x(), t.group_y(), 1}, grid.grid));
  if (parts > 1) recipe.launches.push_back(add_up(prefix, p, facts, parts));
  return recipe;
}

void offer(const std::string& prefix, const Product& p, const DeviceFacts& facts, const Tiling& t, int64_t parts,
           double prior, Variants& out) {
  const uint32_t element = sdk::dtype_size(sum_dtype(p.dtype)), items = t.group_x() * t.group_y();
  if (items > facts.max_group_size || t.group_x() > facts.max_group_extent[0] ||
      t.group_y() > facts.max_group_extent[1])
    return;
  if (t.local_bytes(element) > facts.local_bytes) return;
  const int64_t partial = partial_elements(p, parts);
  const uint64_t workspace = parts == 1 ? 0 : (static_cast<uint64_t>(partial) * element + 63) / 64 * 64;
  if (parts > 1 && (partial > INT32_MAX || workspace > facts.max_binding_bytes)) return;
  std::string name =
      prefix + "group@bm=" + std::to_string(t.m) + ",bn=" + std::to_string(t.n) + ",bk=" + std::to_string(t.k);
  if (t.stages > 1) name += ",double";
  if (parts > 1) name += ",split=" + std::to_string(parts);
  out.push_back({.name = name,
                 .workspace = workspace,
                 .prior = prior,
                 .steps = static_cast<uint64_t>(4 * divide_up(p.k, parts) + parts),
                 .build = [=] { return build(prefix, p, facts, t, parts); }});
}

}  // namespace

void list_grouped(const std::string& prefix, const Product& p, const DeviceFacts& facts, Variants& out) {
  // A driver that runs on CPU cores loses by barriers: one way to do it stays, for the tuner and the tests.
  const double prior = facts.cpu_like ? 20 : 1;
  int64_t listed = 0;
  for (const Tiling& t : kTilings) {
    if (std::min(p.m, p.n) < t.least || (facts.cpu_like && (t.m != 32))) continue;
    const int64_t tiles = divide_up(p.m, t.m) * divide_up(p.n, t.n) * p.batch;
    // Split k where the tiles alone do not fill the device.
    const int64_t wanted =
        facts.cpu_like ? 2 : std::min<int64_t>(16, divide_up(4 * int64_t{facts.compute_units}, tiles));
    const int64_t parts = std::min<int64_t>(wanted, p.k / (8 * int64_t{t.k}));
    const bool split_first = parts >= 4 && !facts.cpu_like;
    if (split_first) offer(prefix, p, facts, t, parts, prior, out);
    offer(prefix, p, facts, t, 1, prior * (split_first ? 2 : 1), out);
    if (!split_first && parts > 1) offer(prefix, p, facts, t, parts, prior, out);
    if (++listed == 4) break;
  }
}

}  // namespace backplane::codegen
