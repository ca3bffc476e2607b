// SPDX-License-Identifier: Apache-2.0
// Convolutions by tiles of subgroups (shuffle_tile.h): the filters, or dy for their gradient, are read where they lie,
// the image from a padded copy, so that every tap lies a constant distance from a place's first.
//
//   direction      rows      columns                  k
//   result         filters   (image, place of y)      channel, tap
//   data           channels  (image, place of x)      filter, mirrored tap; dy is spread by the stride in its copy
//   filter         filters   (channel, tap)           image, place of y
#include <algorithm>

#include "convolution.h"
#include "shuffle_tile.h"

namespace backplane::codegen {
namespace {

// Of one turn of the inner loop, which is straight-line code. Whole filters of 3 x 3 took 1.7 times as long as rows of them.
constexpr int64_t kMostSteps = 8;

constexpr std::string_view kDivide =
    "#define DIVIDE(q, r, i, n) int q = QUOTIENT(i, n); int r = (i) - q * (n);";

/// TILE(id), all but the columns' number: groups are batch entries.
constexpr const char* kTile =
    "DIVIDE(bp_rest, bp_row, id, row_tiles) DIVIDE(group, bp_column, bp_rest, column_tiles) int row0 = bp_row * ROWS; "
    "int column0 = bp_column * (VECTORS * LANES);";

struct Plan {
  explicit Plan(const ConvolutionProblem& problem);
  const ConvolutionProblem& p;
  PaddedCopy copy;
  int64_t m, n, steps, turns;  ///< rows, columns; k in one turn of the inner loop, and how many turns
  bool filter_gradient() const { return p.direction == BP_OP_CONVOLUTION_GRAD_FILTER; }
};

/// The most steps that divide the extent, else four and a tail.
int64_t steps_for(int64_t extent) {
  for (int64_t steps = std::min(extent, kMostSteps); steps > 3; --steps) {
    if (extent % steps == 0) return steps;
  }
  return std::min<int64_t>(extent, 4);
}

Plan::Plan(const ConvolutionProblem& problem) : p(problem) {
  const bool forward = p.direction == BP_OP_CONVOLUTION, data = p.direction == BP_OP_CONVOLUTION_GRAD_DATA;
  const Spatial& places = data ? p.in : p.out;
  copy = copy_for(places, p.kernel, data ? Spatial{1, 1, 1} : p.stride, p.dilation);
  copy.from = data ? &p.y : &p.x;
  copy.index = data ? p.y_index : p.x_index;
  copy.pad = p.pad;
  if (data) {
    copy.spread = p.stride;
    for (int axis = 0; axis < 3; ++axis) copy.pad[axis] = (p.kernel[axis] - 1) * p.dilation[axis] - p.pad[axis];
  }
  m = data ? p.group_channels() : p.group_filters();
  if (filter_gradient()) {
    n = p.group_channels() * p.taps();
    steps = steps_for(p.out[2]);
    turns = p.n * p.out[0] * (1 + p.out[1] * (1 + (p.out[2] + steps - 1) / std::max<int64_t>(steps, 1)));
  } else {
    n = p.n * places[0] * places[1] * places[2];
    steps = p.kernel[2];
    turns = (forward ? p.group_channels() : p.group_filters()) * (1 + p.kernel[0] * (1 + p.kernel[1]));
  }
}

void declare_copy(Source& source, const PaddedCopy& copy) {
  source.param("copy_channel", copy.channel());
  source.param("copy_plane", copy.extent[1] * copy.extent[2]);
  source.param("copy_row", copy.extent[2]);
  source.param("copy_fx", copy.plane());
  source.param("copy_fy", copy.plane() * copy.phases[2]);
  source.param("copy_fz", copy.plane() * copy.phases[2] * copy.phases[1]);
}

/// The result and the gradient in the data.
void declare_correlation(Source& source, const Plan& plan) {
  const ConvolutionProblem& p = plan.p;
  const bool forward = p.direction == BP_OP_CONVOLUTION;
  const int64_t* s = p.w.strides;
  int64_t start = 0, tap[3];
  for (int axis = 0; axis < 3; ++axis) {
    tap[axis] = forward ? s[2 + axis] : -s[2 + axis];
    if (!forward) start += (p.kernel[axis] - 1) * s[2 + axis];
  }
  const Spatial& places = forward ? p.out : p.in;
  source.param("w_start", start);
  source.param("w_group", p.group_filters() * s[0]);
  source.param("w_m", forward ? s[0] : s[1]);
  source.param("w_k", forward ? s[1] : s[0]);
  for (int axis = 0; axis < 3; ++axis) source.param("w_t" + std::to_string(axis), tap[axis]);
  source.param("channels", forward ? p.group_channels() : p.group_filters());
  source.param("groups", p.groups);
  source.param("places", places[0] * places[1] * places[2]);
  source.param("places_y", places[1]);
  source.param("places_x", places[2]);
  source.define("A_AT(m)", "(w_start + group * w_group + (m) * w_m)");
  source.define("COLUMN_PARTS(n, u, v)", "{ DIVIDE(bp_image, bp_place, n, places) u = bp_image; v = bp_place; }");
  source.text(
      "int copy_at(int image, int place, int groups, int group, int channels, int copy_channel, int copy_plane, "
      "int copy_row, int places_y, int places_x) {\n"
      "  DIVIDE(line, x, place, places_x) DIVIDE(z, y, line, places_y)\n"
      "  return (image * groups + group) * channels * copy_channel + z * copy_plane + y * copy_row + x;\n}");
  source.define("B_AT(u, v)",
                "copy_at(u, v, groups, group, channels, copy_channel, copy_plane, copy_row, places_y, places_x)");
  source.define("INNER_LOOP", "for (int channel = 0; channel < channels; ++channel) for (int tz = 0; tz < " +
                                  std::to_string(p.kernel[0]) + "; ++tz) for (int ty = 0; ty < " +
                                  std::to_string(p.kernel[1]) + "; ++ty)");
  source.define("OFFSETS", "int a_off = channel * w_k + tz * w_t0 + ty * w_t1; int b_off = channel * copy_channel + " +
                               tap_distance(plan.copy, p.dilation, {"tz", "ty", "0"}) + ";");
  source.define("A_STEP(q)", "((q) * w_t2)");
  source.define("B_STEP(q)", tap_distance(plan.copy, p.dilation, {"0", "0", "(q)"}));
  source.define("TAIL", 0);
  source.define("PUT_RESULT(x, m, u, v)", "PUT_AT(x, u, group * ROWS_OF_RESULT + m, v)");
}

void declare_filter_gradient(Source& source, const Plan& plan) {
  const ConvolutionProblem& p = plan.p;
  constexpr const char* kAxes[] = {"z", "y", "x"};
  source.param("dy_image", p.y.strides[0]);
  source.param("dy_channel", p.y.strides[1]);
  for (int axis = 0; axis < 3; ++axis) {
    source.param(std::string("dy_") + kAxes[axis], p.y.strides[2 + axis]);
    source.param(std::string("out_") + kAxes[axis], p.out[axis]);
  }
  source.param("images", p.n);
  source.param("channels", p.group_channels());
  source.param("groups", p.groups);
  source.define("A_AT(m)", "((group * ROWS_OF_RESULT + (m)) * dy_channel)");
  source.define("COLUMN_PARTS(n, u, v)", "{ DIVIDE(bp_channel, bp_tap, n, " + std::to_string(p.taps()) +
                                             ") u = bp_channel; v = bp_tap; }");
  const std::string area = std::to_string(p.kernel[1] * p.kernel[2]), width = std::to_string(p.kernel[2]);
  source.define("B_AT(u, v)", "((group * channels + (u)) * copy_channel + " +
                                  tap_distance(plan.copy, p.dilation,
                                               {"((v) / " + area + ")", "((v) / " + width + " % " +
                                                                            std::to_string(p.kernel[1]) + ")",
                                                "((v) % " + width + ")"}) +
                                  ")");
  source.define("INNER_LOOP",
                "for (int image = 0; image < images; ++image) for (int z = 0; z < out_z; ++z) "
                "for (int y = 0; y < out_y; ++y) for (int x = 0; x < out_x; x += STEPS)");
  source.define("OFFSETS",
                "int a_off = image * dy_image + z * dy_z + y * dy_y + x * dy_x; "
                "int b_off = image * groups * channels * copy_channel + z * copy_plane + y * copy_row + x;");
  const bool tail = plan.steps != 0 && p.out[2] % plan.steps != 0;
  source.define("TAIL", tail ? 1 : 0);
  source.define("HAS_STEP(q)", "(x + (q) < out_x)");
  const std::string step = tail ? "min(q, out_x - 1 - x)" : "(q)";
  source.define("A_STEP(q)", "(" + step + " * dy_x)");
  source.define("B_STEP(q)", step);
  source.define("PUT_RESULT(x, m, u, v)",
                "PUT_AT(x, group * ROWS_OF_RESULT + m, (u) * " + std::to_string(p.taps()) + " + (v))");
}

Recipe build(const ConvolutionProblem& p, const DeviceFacts& facts, const ShuffleTile& tile) {
  const Plan plan(p);
  const uint32_t a_index = plan.filter_gradient() ? p.y_index : p.w_index;
  Recipe recipe;
  recipe.launches.push_back(make_padded_copy(plan.copy, facts));
  Source source(facts, "convolution.shuffle");
  source.define("ZERO", "0.0f");
  source.text(kDivide);
  source.input("a", a_index, p.op->inputs[a_index]);
  source.workspace("b", copy_dtype(p.dtype), plan.copy.offset, plan.copy.elements(), false);
  declare_convolution_result(source, p);
  declare_shuffle_tile(source, tile, plan.m, plan.n);
  source.param("column_tiles", (plan.n + tile.columns() - 1) / tile.columns());
  source.define("A_FOURS", 0);
  source.define("B_FOURS", 0);
  source.define("PLAIN_FOURS", 0);
  source.define("STEPS", plan.steps);
  source.define("TILE(id)", kTile);
  declare_copy(source, plan.copy);
  if (plan.filter_gradient()) declare_filter_gradient(source, plan);
  else declare_correlation(source, plan);
  recipe.launches.push_back(finish_shuffle_tile(source, tile, plan.m, plan.n, p.groups));
  return recipe;
}

}  // namespace

void list_convolution_shuffle(const ConvolutionProblem& p, const DeviceFacts& facts, Variants& out) {
  const Plan plan(p);
  if (p.taps() == 0 || p.kernel[2] > kMostSteps || plan.turns == 0 || plan.steps == 0) return;
  const uint64_t bytes = copy_bytes(plan.copy.elements(), p.dtype);
  if (plan.copy.elements() > INT32_MAX || bytes > facts.max_binding_bytes) return;
  for (const ShuffleTile& tile : shuffle_tiles(facts, p.dtype, plan.m, plan.n)) {
    out.push_back({.name = tile.name(),
                   .workspace = bytes,
                   .prior = out.empty() ? 1 : 1.1,
                   .steps = static_cast<uint64_t>(plan.turns + plan.copy.extent[2]) + kShuffleTileSteps,
                   .determinism = plan.filter_gradient() ? BP_DETERMINISM_RUN : BP_DETERMINISM_BATCH,
                   .build = [p, facts, tile] { return build(p, facts, tile); }});
  }
}

}  // namespace backplane::codegen
