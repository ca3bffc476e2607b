// SPDX-License-Identifier: Apache-2.0
// The filter's gradient as dot products of planes (kernels/convolution_dots.kernel), for drivers that run on CPU cores.
#include <algorithm>

#include "convolution.h"
#include "vectors.h"

namespace backplane::codegen {
namespace {

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct Planes {
  PaddedCopy x, y;
  int64_t run;  ///< elements that a dot product of two planes passes over, a multiple of the width
};

Planes planes_for(const ConvolutionProblem& p, uint32_t width) {
  Planes planes;
  PaddedCopy &x = planes.x, &y = planes.y;
  x = copy_for(p.out, p.kernel, p.stride, p.dilation);
  x.from = &p.x;
  x.index = p.x_index;
  x.pad = p.pad;
  // Rows at the end of each plane, so that whole vectors and the last tap's reads stay inside.
  const int64_t row = x.extent[2], reach = row - p.out[2];
  x.extent[1] += divide_up(reach + width - 1, row);
  y.from = &p.y;
  y.index = p.y_index;
  y.extent = {p.out[0], x.extent[1], row};
  planes.run = divide_up(((p.out[0] - 1) * x.extent[1] + p.out[1]) * row, width) * width;
  y.offset = copy_bytes(x.elements(), p.dtype);
  return planes;
}

uint64_t bytes_of(const Planes& planes, uint32_t dtype) {
  return planes.y.offset + copy_bytes(planes.y.elements(), dtype);
}

struct Shape {
  uint32_t width, rows, taps;
};

Launch dots(const ConvolutionProblem& p, const Planes& planes, const DeviceFacts& facts, const Shape& s) {
  Source source(facts, "convolution.dots");
  declare_vectors(source, s.width, p.dtype);
  source.workspace("a", copy_dtype(p.dtype), planes.y.offset, planes.y.elements(), false);
  declare_vector_access(source, "a", s.width, copy_dtype(p.dtype), false, false);
  declare_cursor(source, "a", s.width, copy_dtype(p.dtype));
  source.workspace("b", copy_dtype(p.dtype), planes.x.offset, planes.x.elements(), false);
  declare_vector_access(source, "b", s.width, copy_dtype(p.dtype), false, false);
  declare_cursor(source, "b", s.width, copy_dtype(p.dtype));
  declare_convolution_result(source, p);
  source.text("#define DIVIDE(q, r, i, n) int q = QUOTIENT(i, n); int r = (i) - q * (n);");
  source.define("ROWS", s.rows);
  source.define("TAPS", s.taps);
  source.define("ALL_TAPS", p.taps());
  source.define("KERNEL_Y", p.kernel[1]);
  source.define("KERNEL_X", p.kernel[2]);
  source.define("TAP_DISTANCE", tap_distance(planes.x, p.dilation, {"tz", "ty", "tx"}));
  source.param("copy_channel", planes.x.channel());
  source.param("copy_plane", planes.x.extent[1] * planes.x.extent[2]);
  source.param("copy_row", planes.x.extent[2]);
  source.param("copy_fx", planes.x.plane());
  source.param("copy_fy", planes.x.plane() * planes.x.phases[2]);
  source.param("copy_fz", planes.x.plane() * planes.x.phases[2] * planes.x.phases[1]);
  source.param("dy_channel", planes.y.channel());
  source.param("run", planes.run);
  source.param("images", p.n);
  source.param("groups", p.groups);
  source.param("CHANNELS", p.group_channels());
  source.param("ROWS_OF_RESULT", p.group_filters());
  const int64_t row_tiles = divide_up(p.group_filters(), s.rows), tap_tiles = divide_up(p.taps(), s.taps);
  source.param("row_tiles", row_tiles);
  source.param("tap_tiles", tap_tiles);
  const int64_t tiles = p.groups * row_tiles * p.group_channels() * tap_tiles;
  source.param("tiles", tiles);
  const uint32_t lanes = facts.subgroup_size != 0 ? facts.subgroup_size : 4;
  const LinearGrid grid = linear_grid(tiles, facts, facts.dialect == Dialect::opencl_c ? 1 : lanes);
  return source.finish(kernel_text("convolution_dots"), grid.group, grid.grid);
}

Recipe build(const ConvolutionProblem& p, const DeviceFacts& facts, const Shape& shape) {
  Planes planes = planes_for(p, shape.width);
  planes.x.from = &p.x, planes.y.from = &p.y;
  Recipe recipe;
  recipe.launches.push_back(make_padded_copy(planes.x, facts));
  recipe.launches.push_back(make_padded_copy(planes.y, facts));
  recipe.launches.push_back(dots(p, planes, facts, shape));
  return recipe;
}

/// Accumulators, one vector of dy per row and one of x fit the registers (32 of 64 bytes, else 16).
constexpr Shape kShapes[] = {{16, 3, 9}, {16, 8, 3}, {8, 2, 6}, {8, 4, 3}, {4, 2, 9}, {4, 4, 3}, {2, 4, 3}, {1, 4, 3}};
// Without nine taps at a time to hold, more rows win (measured on PoCL: 1x1, 5x5 and 7x7 filters).
constexpr Shape kOtherTaps[] = {{16, 8, 3}, {16, 3, 9}, {8, 4, 3}, {8, 2, 6}, {4, 4, 3}, {4, 2, 9}, {2, 4, 3}, {1, 4, 3}};

}  // namespace

void list_convolution_dots(const ConvolutionProblem& p, const DeviceFacts& facts, Variants& out) {
  if (!facts.cpu_like || p.n == 0 || p.positions() == 0) return;
  const uint32_t width = vector_width(facts, p.dtype);
  for (Shape s : p.taps() == 9 ? kShapes : kOtherTaps) {
    if (s.width != width) continue;
    s.taps = static_cast<uint32_t>(std::min<int64_t>(s.taps, p.taps()));
    const Planes planes = planes_for(p, s.width);
    const uint64_t bytes = bytes_of(planes, p.dtype);
    if (std::max(planes.x.elements(), planes.y.elements()) > INT32_MAX || bytes > facts.max_binding_bytes) continue;
    out.push_back(
        {.name = "dots@r=" + std::to_string(s.rows) + ",t=" + std::to_string(s.taps) + "x" + std::to_string(s.width),
         .workspace = bytes,
         .steps = static_cast<uint64_t>(p.n * (planes.run / s.width + 2) + planes.x.extent[2]) + 1024,
         .determinism = BP_DETERMINISM_RUN,
         .build = [p, facts, s] { return build(p, facts, s); }});
  }
}

}  // namespace backplane::codegen
