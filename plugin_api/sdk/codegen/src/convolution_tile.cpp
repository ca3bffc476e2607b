// SPDX-License-Identifier: Apache-2.0
// Convolutions by tiles in the registers of single work-items: ROWS filters x VECTORS rows x WIDTH columns of results,
// read from a padded copy of the image with the filters packed into panels (kernels/matmul_tile.kernel).
//
// The gradient in the data is the same computation on dy, spread by the stride, with mirrored filters whose channels
// changed sides. Its multiplications with the zeros between are wasted for strides above 1.
#include <algorithm>

#include "backplane/sdk/program.hpp"
#include "convolution.h"
#include "register_tile.h"
#include "vectors.h"
#include "walk.h"

namespace backplane::codegen {
namespace {

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// What is computed, whatever the direction: result[n, g, m, place] from filters[g, m, k, tap] and a copy of x or dy.
struct Correlation {
  Correlation(const ConvolutionProblem& p, const RegisterTile& t);
  const ConvolutionProblem& problem;
  RegisterTile tile;
  int64_t m, k;               ///< per group: filters (channels) of the result, channels (filters) of the copy
  Spatial places;             ///< extents of the result
  bp_tensor_desc filters;     ///< w as [m, k, tap ...], mirrored for the gradient
  int64_t filters_start = 0;  ///< its first element
  int64_t group_step;         ///< elements of w between groups
  bp_tensor_desc result;
  PaddedCopy copy;
  Spatial tap_step;  ///< dilation
  int64_t inner() const { return k * problem.taps(); }
  Panels panels() const { return {problem.groups, divide_up(m, tile.rows), tile.rows, inner()}; }
};

Correlation::Correlation(const ConvolutionProblem& p, const RegisterTile& t) : problem(p), tile(t), filters(p.w) {
  const bool forward = p.direction == BP_OP_CONVOLUTION;
  m = forward ? p.group_filters() : p.group_channels();
  k = forward ? p.group_channels() : p.group_filters();
  places = forward ? p.out : p.in;
  result = forward ? p.x : p.y;
  tap_step = p.dilation;
  group_step = p.group_filters() * p.w.strides[0];
  filters.shape[0] = p.group_filters();
  if (!forward) {
    std::swap(filters.shape[0], filters.shape[1]);
    std::swap(filters.strides[0], filters.strides[1]);
    for (int axis = 0; axis < 3; ++axis) {
      filters_start += (p.kernel[axis] - 1) * filters.strides[2 + axis];
      filters.strides[2 + axis] *= -1;
    }
  }
  result = forward ? p.y : p.x;
  // Whole tiles of places, so that no read leaves the copy.
  Spatial covered = places;
  covered[1] = divide_up(places[1], tile.vectors) * tile.vectors;
  covered[2] = std::max<int64_t>(places[2], tile.width);
  copy = copy_for(covered, p.kernel, forward ? p.stride : Spatial{1, 1, 1}, p.dilation);
  copy.from = forward ? &p.x : &p.y;
  copy.index = forward ? p.x_index : p.y_index;
  copy.pad = p.pad;
  if (!forward) {
    copy.spread = p.stride;
    for (int axis = 0; axis < 3; ++axis) copy.pad[axis] = (p.kernel[axis] - 1) * p.dilation[axis] - p.pad[axis];
  }
}

Launch pack_filters(const Correlation& c, const DeviceFacts& facts) {
  const ConvolutionProblem& p = c.problem;
  Source source(facts, "convolution.pack_filters");
  declare_vectors(source, 1, p.dtype);
  source.input("x", p.w_index, p.op->inputs[p.w_index]);
  declare_panels(source, c.panels(), p.dtype, c.m);
  source.define("DENSE", 0);
  source.param("x_i", c.filters.strides[0]);
  source.param("group_step", c.group_step);
  source.param("filters_start", c.filters_start);
  declare_walk(source, "ALONG_K", merge_axes({&c.filters}, 1, 5));
  source.define("PLACE(i, at)", "int at = (i) * group_step + filters_start;");
  return finish_panels(source, c.panels());
}

/// Filters run fastest over the tiles, so that the places' data stay in the first-level cache.
constexpr const char* kTile =
    "int bp_r1 = TO_INT(TO_UINT(id) / TO_UINT(row_tiles)); int row_tile = id - bp_r1 * row_tiles; "
    "int bp_r2 = TO_INT(TO_UINT(bp_r1) / TO_UINT(x_tiles)); int x0 = (bp_r1 - bp_r2 * x_tiles) * WIDTH; "
    "int bp_r3 = TO_INT(TO_UINT(bp_r2) / TO_UINT(y_tiles)); int y0 = (bp_r2 - bp_r3 * y_tiles) * VECTORS; "
    "int bp_r4 = TO_INT(TO_UINT(bp_r3) / TO_UINT(extent_z)); int z0 = bp_r3 - bp_r4 * extent_z; "
    "int image = TO_INT(TO_UINT(bp_r4) / TO_UINT(groups)); int group = bp_r4 - image * groups; "
    "int row0 = row_tile * ROWS; int rows_left = ROWS_OF_RESULT - row0; "
    "int skip = max(x0 - max(extent_x - WIDTH, 0), 0); x0 -= skip; "
    "int a_start = (group * row_tiles + row_tile) * INNER * ROWS; "
    "int b_start = (image * groups + group) * CHANNELS * copy_channel + z0 * copy_plane + y0 * copy_row + x0; "
    "int y_place = image * y_s0 + group * (ROWS_OF_RESULT * y_s1) + z0 * y_s2 + y0 * y_s3 + x0;";

/// Outputs whose rows vectors can be stored to.
bool stores_vectors(const Correlation& c) {
  return c.problem.op->program == nullptr && c.places[2] >= c.tile.width && (c.result.strides[4] == 1 || c.places[2] == 1);
}

void declare_places(Source& source, const Correlation& c) {
  const ConvolutionProblem& p = c.problem;
  source.define("TILE(id)", kTile);
  source.define("INNER_LOOP", "for (int channel = 0; channel < CHANNELS; ++channel) for (int tz = 0; tz < " +
                                  std::to_string(p.kernel[0]) + "; ++tz) for (int ty = 0; ty < " +
                                  std::to_string(p.kernel[1]) + "; ++ty) for (int tx = 0; tx < " +
                                  std::to_string(p.kernel[2]) + "; ++tx)");
  source.define("B_PLACE", "channel * copy_channel + " + tap_distance(c.copy, c.tap_step, {"tz", "ty", "tx"}));
  source.define("B_APART", "copy_row");
  source.define("NEXT_B", "");
  source.define("WHOLE", "(rows_left >= ROWS && y0 + VECTORS <= extent_y)");
  source.define("Y_PLACE(r, j)", "(y_place + (row0 + (r)) * y_s1 + (j) * y_s3)");
  source.define("COLUMN(j)", "(z0 * extent_y + y0 + (j)) * extent_x + x0");
  source.define("LANE_FROM(j)", "skip");
  source.define("LANE_TO(j)", "(y0 + (j) < extent_y ? min(extent_x - x0, WIDTH) : 0)");
  source.define("PUT(v, m, n)", "PUT_AT(v, image, group * ROWS_OF_RESULT + m, n)");
  source.param("CHANNELS", c.k);
  source.param("INNER", c.inner());
  source.param("ROWS_OF_RESULT", c.m);
  source.param("groups", p.groups);
  source.param("extent_x", c.places[2]);
  source.param("extent_y", c.places[1]);
  source.param("extent_z", c.places[0]);
  source.param("copy_channel", c.copy.channel());
  source.param("copy_plane", c.copy.extent[1] * c.copy.extent[2]);
  source.param("copy_row", c.copy.extent[2]);
  source.param("copy_fx", c.copy.plane());
  source.param("copy_fy", c.copy.plane() * c.copy.phases[2]);
  source.param("copy_fz", c.copy.plane() * c.copy.phases[2] * c.copy.phases[1]);
  for (int axis = 0; axis < 4; ++axis) source.param("y_s" + std::to_string(axis), c.result.strides[axis]);
}

Launch correlate(const Correlation& c, const DeviceFacts& facts) {
  const ConvolutionProblem& p = c.problem;
  Source source(facts, "convolution.tile");
  declare_vectors(source, c.tile.width, p.dtype);
  source.workspace("a", panel_dtype(p.dtype), c.panels().offset, c.panels().elements(), false);
  source.workspace("b", panel_dtype(p.dtype), c.copy.offset, c.copy.elements(), false);
  declare_register_tile(source, c.tile, panel_dtype(p.dtype), false);
  declare_convolution_result(source, p);
  declare_plain_result(source, c.tile, stores_vectors(c), p.op->outputs[0].dtype, false);
  declare_places(source, c);
  const int64_t x_tiles = divide_up(c.places[2], c.tile.width), y_tiles = divide_up(c.places[1], c.tile.vectors);
  source.param("x_tiles", x_tiles);
  source.param("y_tiles", y_tiles);
  return finish_register_tile(source, c.panels().panels, x_tiles * y_tiles * c.places[0] * p.groups * p.n);
}

Recipe build(const ConvolutionProblem& p, const DeviceFacts& facts, const RegisterTile& tile) {
  Correlation c(p, tile);
  c.copy.offset = c.panels().bytes(p.dtype);
  Recipe recipe;
  recipe.launches.push_back(pack_filters(c, facts));
  recipe.launches.push_back(make_padded_copy(c.copy, facts));
  recipe.launches.push_back(correlate(c, facts));
  return recipe;
}

struct Shape {
  uint32_t rows, vectors;
};

}  // namespace

void list_convolution_tiles(const ConvolutionProblem& p, const DeviceFacts& facts, Variants& out) {
  const Correlation any(p, {1, 1, 1});
  if (any.k == 0 || p.taps() == 0) return;
  uint32_t width = vector_width(facts, p.dtype);
  while (width > 4 && width / 2 >= any.places[2]) width /= 2;
  const Shape shapes[] = {{8, 2}, {4, 4}, {1, 4}}, few_rows[] = {{4, 4}, {8, 2}, {1, 4}};
  for (const Shape& s : any.m <= 4 ? few_rows : shapes) {
    if (s.rows > 1 && any.m <= 2) continue;
    if (s.rows == 1 && any.m > 2) continue;
    const RegisterTile tile{s.rows, s.vectors, width, true};
    const Correlation c(p, tile);
    const int64_t elements = std::max(c.copy.elements(), c.panels().elements());
    const uint64_t bytes = copy_bytes(c.copy.elements(), p.dtype) + c.panels().bytes(p.dtype);
    if (elements > INT32_MAX || bytes > facts.max_binding_bytes) continue;
    out.push_back(
        {.name = "tile@r=" + std::to_string(s.rows) + ",c=" + std::to_string(s.vectors) + "x" + std::to_string(width),
         .workspace = bytes,
         .steps = static_cast<uint64_t>(2 * any.k * p.taps() + c.copy.extent[2]) + 4096,
         .determinism = BP_DETERMINISM_BATCH,
         .build = [p, facts, tile] { return build(p, facts, tile); }});
  }
}

}  // namespace backplane::codegen
