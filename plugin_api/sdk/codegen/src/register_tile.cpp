// SPDX-License-Identifier: Apache-2.0
#include "register_tile.h"

#include "backplane/sdk/program.hpp"
#include "vectors.h"

namespace backplane::codegen {
namespace {

constexpr int64_t kPackSteps = 32;  // values of k that one work-item copies

int64_t chunks(const Panels& panels) { return (panels.k + kPackSteps - 1) / kPackSteps; }

}  // namespace

std::string RegisterTile::name() const {
  std::string text = "tile@r=" + std::to_string(rows) + ",c=" + std::to_string(vectors) + "x" + std::to_string(width);
  if (pack_a) text += ",pack_a";
  if (pack_b) text += ",pack_b";
  return text;
}

uint32_t panel_dtype(uint32_t dtype) { return dtype == BP_F16 || dtype == BP_BF16 ? uint32_t{BP_F32} : dtype; }

uint64_t Panels::bytes(uint32_t dtype) const {
  return (static_cast<uint64_t>(elements()) * sdk::dtype_size(panel_dtype(dtype)) + 63) / 64 * 64;
}

void declare_panels(Source& source, const Panels& panels, uint32_t dtype, int64_t extent) {
  source.workspace("p", panel_dtype(dtype), panels.offset, panels.elements(), true);
  source.define("SPAN", panels.span);
  source.define("STEPS", kPackSteps);
  source.param("chunks", chunks(panels));
  source.param("panels", panels.panels);
  source.param("extent", extent);
  source.param("INNER", panels.k);
}

Launch finish_panels(Source& source, const Panels& panels) {
  const int64_t total = panels.batch * panels.panels * chunks(panels);
  source.param("total", total);
  const LinearGrid grid = linear_grid(total, source.facts(), source.facts().cpu_like ? 4 : 0);
  return source.finish(kernel_text("matmul_pack"), grid.group, grid.grid);
}

void declare_register_tile(Source& source, const RegisterTile& tile, uint32_t dtype, bool b_aligned) {
  const uint32_t a_dtype = tile.pack_a ? panel_dtype(dtype) : dtype, b_dtype = tile.pack_b ? panel_dtype(dtype) : dtype;
  const bool fours = tile.pack_a && tile.rows % 4 == 0 && tile.width == 4 && source.facts().dialect != Dialect::opencl_c;
  source.define("ROWS", tile.rows);
  source.define("VECTORS", tile.vectors);
  source.define("A_PACKED", tile.pack_a ? 1 : 0);
  source.define("A_IN_FOURS", fours ? 1 : 0);
  if (fours) source.vectors("a");
  declare_cursor(source, "a", 1, a_dtype);
  declare_vector_access(source, "b", tile.width, b_dtype, false, b_aligned);
  declare_cursor(source, "b", tile.width, b_dtype);
}

void declare_plain_result(Source& source, const RegisterTile& tile, bool plain, uint32_t dtype, bool aligned) {
  source.define("PLAIN", plain ? 1 : 0);
  if (plain) declare_vector_access(source, "y", tile.width, dtype, true, aligned);
}

Launch finish_register_tile(Source& source, int64_t row_tiles, int64_t other_tiles) {
  const DeviceFacts& facts = source.facts();
  source.param("row_tiles", row_tiles);
  source.param("tiles", row_tiles * other_tiles);
  // Work-items of a driver that runs on CPU cores: one is a core's vector unit in OpenCL, one of its lanes in Vulkan.
  const uint32_t lanes = facts.subgroup_size != 0 ? facts.subgroup_size : 4;
  const uint32_t group = !facts.cpu_like ? 64 : facts.dialect == Dialect::glsl ? lanes : 1;
  const LinearGrid grid = linear_grid(row_tiles * other_tiles, facts, group);
  return source.finish(kernel_text("matmul_tile"), grid.group, grid.grid);
}

}  // namespace backplane::codegen
