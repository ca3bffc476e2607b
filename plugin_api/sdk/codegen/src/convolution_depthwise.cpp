// SPDX-License-Identifier: Apache-2.0
// Depthwise convolutions, in which every group has one channel (and any number of filters), and both gradients: without
// padded copies of the operands. Up to two spatial axes and filters of up to 49 taps, which are unrolled.
//
// The gradient in the data is the same walk over dy, spread by the stride, with turned filters.
#include <algorithm>

#include "backplane/sdk/program.hpp"
#include "convolution.h"
#include "team.h"
#include "vectors.h"

namespace backplane::codegen {
namespace {

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

constexpr int64_t kLongestRow = 1024;  ///< of copies in private arrays, some ten rows at a time

struct Depthwise {
  Depthwise(const ConvolutionProblem& problem, const DeviceFacts& facts, uint32_t most_rows);
  ConvolutionProblem p;
  uint32_t width, rows;
  bp_tensor_desc source, result, filters;
  uint32_t source_index;
  int64_t filters_start = 0, multiplier;
  Spatial pad, step, spread{1, 1, 1}, places;
  /// Elements of a copied row that whole vectors of results read, and what a private array has for one.
  int64_t row_need() const {
    return divide_up(places[2], width) * width * std::max<int64_t>(step[2], 1) + (p.kernel[2] - 1) * p.dilation[2];
  }
  int64_t capacity() const { return divide_up(row_need(), 64) * 64; }
};

Depthwise::Depthwise(const ConvolutionProblem& problem, const DeviceFacts& facts, uint32_t most_rows)
    : p(problem), filters(problem.w) {
  const bool to_data = p.direction == BP_OP_CONVOLUTION_GRAD_DATA;
  source = to_data ? p.y : p.x;
  source_index = to_data ? p.y_index : p.x_index;
  result = to_data ? p.x : p.y;
  multiplier = p.group_filters();
  pad = p.pad, step = p.stride;
  places = to_data ? p.in : p.out;
  if (to_data) {
    step = {1, 1, 1}, spread = p.stride;
    for (int axis = 0; axis < 3; ++axis) {
      pad[axis] = (p.kernel[axis] - 1) * p.dilation[axis] - p.pad[axis];
      filters_start += (p.kernel[axis] - 1) * filters.strides[2 + axis];
      filters.strides[2 + axis] *= -1;
    }
  }
  rows = static_cast<uint32_t>(std::min<int64_t>(most_rows, places[1]));
  // Lanes of explicit vectors where work-items are not lanes themselves; not more than rows have.
  width = facts.cpu_like && facts.dialect == Dialect::opencl_c ? vector_width(facts, p.dtype) : 1;
  while (width > 4 && width / 2 >= places[2]) width /= 2;
}

/// WIDTH lanes, `step` apart, of a private array from `at` on.
std::string lanes_apart(uint32_t width, int64_t step) {
  const std::string w = std::to_string(width);
  if (step == 1) return "vload" + w + "(0, at)";
  if (step == 2) return "(VEC)(vload" + w + "(0, at).even, vload" + w + "(0, (at) + " + w + ").even)";
  std::string lanes;
  for (uint32_t lane = 0; lane < width; ++lane)
    lanes += (lane != 0 ? ", (at)[" : "(at)[") + std::to_string(lane * step) + "]";
  return "(VEC)(" + lanes + ")";
}

/// What all four kernels share.
void declare_problem(Source& source, const Depthwise& d) {
  const ConvolutionProblem& p = d.p;
  const bool to_data = p.direction == BP_OP_CONVOLUTION_GRAD_DATA;
  declare_vectors(source, d.width, p.dtype);
  source.text("#define DIVIDE(q, r, i, n) int q = TO_INT(TO_UINT(i) / TO_UINT(n)); int r = (i) - q * (n);");
  source.input("x", d.source_index, p.op->inputs[d.source_index]);
  source.define("TAPS_Y", p.kernel[1]), source.define("TAPS_X", p.kernel[2]);
  source.define("APART_Y", p.dilation[1]), source.define("APART_X", p.dilation[2]);
  source.define("STEP_Y", d.step[1]), source.define("STEP_X", d.step[2]);
  source.define("SPREAD_Y", d.spread[1]), source.define("SPREAD_X", d.spread[2]);
  source.define("ROWS", d.rows);
  source.define("SOURCE_ROWS", (d.rows - 1) * d.step[1] + (p.kernel[1] - 1) * p.dilation[1] + 1);
  source.param("pad_y", d.pad[1]), source.param("pad_x", d.pad[2]);
  source.param("in_y", d.source.shape[3]), source.param("in_x", d.source.shape[4]);
  for (int axis : {0, 1, 3, 4}) source.param("x_s" + std::to_string(axis), d.source.strides[axis]);
  for (int axis : {0, 1, 3, 4}) source.param("y_s" + std::to_string(axis), d.result.strides[axis]);
  source.param("extent_y", d.places[1]), source.param("extent_x", d.places[2]);
  source.param("channels", d.result.shape[1]);
  source.param("multiplier", d.multiplier);
  source.define("SOURCE_OF(channel, s)", to_data ? "((channel) * multiplier + (s))" : "((channel) / multiplier)");
  source.define("FILTER_OF(channel, s)", to_data ? "((channel) * multiplier + (s))" : "(channel)");
  if (d.width == 1) return;
  const bool dense = d.source.strides[4] == 1 && d.spread[2] == 1;
  source.define("ROW_DENSE", dense ? 1 : 0);
  if (dense) declare_vector_access(source, "x", d.width, p.dtype, false, false);
  source.define("CAPACITY", d.capacity());
  source.param("row_need", d.row_need());
  source.define("LANES_OF(at)", lanes_apart(d.width, 1));
  source.define("LANES_APART(at)", lanes_apart(d.width, d.step[2]));
  source.include("depthwise_row");
}

Launch results(const Depthwise& d, const DeviceFacts& facts) {
  const ConvolutionProblem& p = d.p;
  Source source(facts, "convolution.depthwise");
  declare_problem(source, d);
  source.input("w", p.w_index, p.op->inputs[p.w_index]);
  declare_convolution_result(source, p);
  const bool plain = p.op->program == nullptr && d.result.strides[4] == 1;
  source.define("PLAIN", plain ? 1 : 0);
  if (plain) declare_vector_access(source, "y", d.width, p.op->outputs[0].dtype, true, false);
  const bool sums = p.direction == BP_OP_CONVOLUTION_GRAD_DATA && d.multiplier > 1;
  source.define("SUMS", sums ? 1 : 0);
  source.define("SOURCES", sums ? "multiplier" : "1");
  source.param("filters_start", d.filters_start);
  for (int axis : {0, 3, 4}) source.param("w_s" + std::to_string(axis), d.filters.strides[axis]);
  const int64_t y_tiles = divide_up(d.places[1], d.rows);
  source.param("y_tiles", y_tiles);
  const int64_t total = p.n * d.result.shape[1] * y_tiles * (d.width > 1 ? 1 : d.places[2]);
  source.param("total", total);
  const LinearGrid grid = linear_grid(total, facts, d.width > 1 ? 1 : 64);
  return source.finish(kernel_text(d.width > 1 ? "depthwise_rows" : "depthwise_items"), grid.group, grid.grid);
}

/// `group`: work-items of a team; not used where there are vectors.
Launch filters(const Depthwise& d, const DeviceFacts& facts, uint32_t group) {
  const ConvolutionProblem& p = d.p;
  Source source(facts, "convolution.depthwise_filter");
  declare_problem(source, d);
  source.input("dy", p.y_index, p.op->inputs[p.y_index]);
  declare_convolution_result(source, p);
  if (d.width > 1) {
    declare_vector_access(source, "dy", d.width, p.dtype, false, false);
    source.define("DY_DENSE", d.result.strides[4] == 1 ? 1 : 0);
    source.param("images", p.n);
    const LinearGrid grid = linear_grid(d.result.shape[1], facts, 1);
    return source.finish(kernel_text("depthwise_filter_rows"), grid.group, grid.grid);
  }
  source.param("places", p.n * p.positions());
  declare_team(source, Team::group, p.dtype == BP_F64 ? "f64" : "float", group);
  const LinearGrid grid = team_grid(d.result.shape[1], Team::group, group, facts);
  return source.finish(kernel_text("depthwise_filter_team"), grid.group, grid.grid);
}

bool suits(const ConvolutionProblem& p) {
  if (p.group_channels() != 1 || p.groups == 1 || p.kernel[1] * p.kernel[2] > 49) return false;
  return p.kernel[0] == 1 && p.in[0] == 1 && p.out[0] == 1 && p.pad[0] == 0 && p.stride[0] == 1;
}

}  // namespace

void list_convolution_depthwise(const ConvolutionProblem& p, const DeviceFacts& facts, Variants& out) {
  if (!suits(p)) return;
  const auto name = [](const char* what, uint32_t count, const Depthwise& d) {
    return std::string("depthwise@") + what + "=" + std::to_string(count) + ",x=" + std::to_string(d.width);
  };
  const bool filter = p.direction == BP_OP_CONVOLUTION_GRAD_FILTER;
  // More rows save reads, but each one's sums have to stay in registers beside the filter.
  const bool few = facts.cpu_like && facts.dialect == Dialect::opencl_c && p.kernel[1] <= 3;
  for (const uint32_t rows : filter ? std::vector{4u} : few ? std::vector{4u, 8u} : std::vector{8u, 4u}) {
    const Depthwise d(p, facts, rows);
    if (d.width > 1 && d.capacity() > kLongestRow) return;
    if (!filter) {
      out.push_back({.name = name("rows", rows, d), .determinism = BP_DETERMINISM_BATCH, .build = [d, facts] {
                       return Recipe{{results(d, facts)}};
                     }});
      continue;
    }
    const uint32_t group = d.width > 1 ? 1 : group_size(facts, facts.cpu_like ? 32 : 128, 8);
    if (group > 1 && copy_dtype(p.dtype) != BP_F32) return;  // a team adds up floats
    out.push_back({.name = name("team", group, d),
                   .steps = static_cast<uint64_t>(divide_up(p.n * p.positions(), group)) + 1024,
                   .build = [d, facts, group] { return Recipe{{filters(d, facts, group)}}; }});
  }
}

}  // namespace backplane::codegen
