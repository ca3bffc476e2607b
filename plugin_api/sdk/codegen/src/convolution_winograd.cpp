// SPDX-License-Identifier: Apache-2.0
// 3 x 3 convolutions of stride 1 after Winograd: F(2 x 2, 3 x 3) and F(4 x 4, 3 x 3) as in Lavin and Gray, "Fast
// algorithms for convolutional neural networks" (2015). Forward, and the gradient in the data, which is the same
// convolution of dy with turned filters whose channels changed sides.
//
//   u = G w Gt            filters     ┐
//   v = Bt x B            tiles       ├ per point (16 or 36) one product m = u v: MATMUL, batched over points and
//   groups y = At m A, epilogue  results     ┘
//
// F(4 x 4) multiplies 4 times less than the formula, F(2 x 2) 2.25 times; sums of scaled elements cost digits, which
// the variants' notes say. Tiles are taken in chunks, so that v and m stay in a cache.
#include <algorithm>

#include "backplane/sdk/program.hpp"
#include "convolution.h"
#include "inner_matmul.h"
#include "matmul.h"
#include "vectors.h"
#include "winograd_transforms.h"

namespace backplane::codegen {
namespace {

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

constexpr std::string_view kDivide =
    "#define DIVIDE(q, r, i, n) int q = TO_INT(TO_UINT(i) / TO_UINT(n)); int r = (i) - q * (n);";

/// What is computed, whatever the direction: result[n, g, m, place] from w[g, m, k, 3 x 3] and a source.
struct Plan {
  Plan(const ConvolutionProblem& problem, const WinogradScheme& scheme, const DeviceFacts& facts);
  const ConvolutionProblem& p;
  const WinogradScheme& scheme;
  uint32_t width;
  bool forward;
  int64_t m, k;
  bp_tensor_desc source, filters;
  int64_t filters_start = 0, group_step = 0, pad_y = 0, pad_x = 0, out_y = 0, out_x = 0;
  int64_t tiles_y, tiles_x, tiles, chunks, pitch;
  uint64_t u_bytes, v_bytes, m_bytes;
  int points() const { return scheme.points * scheme.points; }
  int64_t u_plane() const { return plane(p.groups * m * k); }
  int64_t v_plane() const { return plane(p.groups * k * pitch); }
  int64_t m_plane() const { return plane(p.groups * m * pitch); }
  int64_t u_elements() const { return points() * u_plane(); }
  int64_t v_elements() const { return points() * v_plane(); }
  int64_t m_elements() const { return points() * m_plane(); }

 private:
  /// Elements from one point's matrices to the next's: whole vectors, and never a power of two, in which the places
  /// that a work-item writes would share one set of a cache.
  static int64_t plane(int64_t elements) { return (elements + 31) / 32 * 32 + 32; }
};

/// Bytes of v and m that a chunk may have. CPU cores: a part of the last-level cache. Else: enough tiles to fill a GPU.
int64_t chunk_bytes(const DeviceFacts& facts) { return facts.cpu_like ? 4 << 20 : 64 << 20; }
constexpr int64_t kMostChunks = 24;  // each is a few launches with texts of their own

Plan::Plan(const ConvolutionProblem& problem, const WinogradScheme& s, const DeviceFacts& facts)
    : p(problem),
      scheme(s),
      width(facts.cpu_like ? vector_width(facts, BP_F32) : 1),
      forward(problem.direction == BP_OP_CONVOLUTION),
      filters(problem.w) {
  if (facts.dialect != Dialect::opencl_c) width = 1;
  m = forward ? p.group_filters() : p.group_channels();
  k = forward ? p.group_channels() : p.group_filters();
  source = forward ? p.x : p.y;
  group_step = p.group_filters() * p.w.strides[0];
  pad_y = p.pad[1], pad_x = p.pad[2];
  const Spatial& places = forward ? p.out : p.in;
  out_y = places[1], out_x = places[2];
  if (!forward) {
    std::swap(filters.strides[0], filters.strides[1]);
    for (int axis = 3; axis < 5; ++axis) {
      filters_start += 2 * filters.strides[axis];
      filters.strides[axis] *= -1;
    }
    pad_y = 2 - pad_y, pad_x = 2 - pad_x;
  }
  tiles_y = divide_up(out_y, s.step), tiles_x = divide_up(out_x, s.step);
  tiles = p.n * tiles_y * tiles_x;
  const int64_t per_tile = points() * p.groups * (m + k) * 4;
  chunks = std::clamp<int64_t>(divide_up(tiles * per_tile, chunk_bytes(facts)), 1, kMostChunks);
  pitch = divide_up(divide_up(tiles, chunks), 32) * 32;
  chunks = divide_up(tiles, pitch);
  u_bytes = copy_bytes(u_elements(), BP_F32), v_bytes = copy_bytes(v_elements(), BP_F32);
  m_bytes = copy_bytes(m_elements(), BP_F32);
}

LinearGrid tile_grid(int64_t total, const DeviceFacts& facts) {
  return linear_grid(total, facts, !facts.cpu_like ? 64 : facts.dialect == Dialect::opencl_c ? 1 : 8);
}

Launch transform_filters(const Plan& plan, const DeviceFacts& facts) {
  Source source(facts, "winograd.filters");
  declare_vectors(source, plan.width, BP_F32);
  source.input("w", plan.p.w_index, plan.p.op->inputs[plan.p.w_index]);
  source.workspace("u", BP_F32, 0, plan.u_elements(), true);
  declare_vector_access(source, "u", plan.width, BP_F32, true, true);
  source.text(kDivide);
  declare_gathered(source, "FILTER_ROW(i)", 3, plan.width);
  declare_operands(source, "FILTER_COLUMN(j)", 3, "g[# * POINTS + (j)]");
  source.define("POINTS", plan.scheme.points);
  source.param("plane", plan.u_plane());
  declare_transform(source, "FILTER_TRANSFORM", &plan.scheme.filter[0][0], 3, plan.scheme.points, 3);
  source.param("CHANNELS", plan.k);
  source.param("ROWS_OF_RESULT", plan.m);
  source.param("filters_start", plan.filters_start);
  source.param("group_step", plan.group_step);
  for (int axis : {0, 1, 3, 4}) source.param("w_s" + std::to_string(axis), plan.filters.strides[axis]);
  source.param("filters", plan.p.groups * plan.m * plan.k);
  const int64_t total = divide_up(plan.p.groups * plan.m * plan.k, plan.width);
  source.param("total", total);
  const LinearGrid grid = tile_grid(total, facts);
  return source.finish(kernel_text("winograd_filter"), grid.group, grid.grid);
}

void declare_tiles(Source& source, const Plan& plan, int64_t first_tile) {
  source.define("STEP", plan.scheme.step);
  source.define("POINTS", plan.scheme.points);
  source.text(kDivide);
  source.param("first_tile", first_tile);
  source.param("tiles_x", plan.tiles_x);
  source.param("tiles_y", plan.tiles_y);
  source.param("images", plan.p.n);
  source.param("pitch", plan.pitch);
  source.param("blocks", plan.pitch / plan.width);
}

Launch transform_data(const Plan& plan, const DeviceFacts& facts, int64_t first_tile) {
  Source source(facts, "winograd.data");
  const int points = plan.scheme.points;
  declare_vectors(source, plan.width, BP_F32);
  const uint32_t index = plan.forward ? plan.p.x_index : plan.p.y_index;
  source.input("x", index, plan.p.op->inputs[index]);
  source.workspace("p", BP_F32, plan.u_bytes, plan.v_elements(), true);
  declare_vector_access(source, "p", plan.width, BP_F32, true, true);
  declare_gathered(source, "DATA_ROW(i)", points, plan.width);
  declare_operands(source, "DATA_COLUMN(j)", points, "d[# * POINTS + (j)]");
  declare_transform(source, "DATA_TRANSFORM", &plan.scheme.data[0][0], 6, points, points);
  declare_tiles(source, plan, first_tile);
  source.param("pad_y", plan.pad_y);
  source.param("pad_x", plan.pad_x);
  source.param("in_y", plan.source.shape[3]);
  source.param("in_x", plan.source.shape[4]);
  for (int axis : {0, 1, 3, 4}) source.param("x_s" + std::to_string(axis), plan.source.strides[axis]);
  source.param("plane", plan.v_plane());
  const int64_t total = plan.p.groups * plan.k * plan.pitch / plan.width;
  source.param("total", total);
  const LinearGrid grid = tile_grid(total, facts);
  return source.finish(kernel_text("winograd_data"), grid.group, grid.grid);
}

Launch transform_results(const Plan& plan, const DeviceFacts& facts, int64_t first_tile) {
  Source source(facts, "winograd.results");
  const int points = plan.scheme.points, step = plan.scheme.step;
  declare_vectors(source, plan.width, BP_F32);
  source.workspace("m", BP_F32, plan.u_bytes + plan.v_bytes, plan.m_elements(), false);
  declare_vector_access(source, "m", plan.width, BP_F32, false, true);
  declare_convolution_result(source, plan.p);
  declare_operands(source, "PRODUCT_ROW", points, "VLOAD_m(m_place + # * plane)");
  declare_operands(source, "RESULT_COLUMN(j)", points, "d[# * " + std::to_string(step) + " + (j)]");
  declare_transform(source, "RESULT_TRANSFORM", &plan.scheme.result[0][0], 6, step, points);
  declare_tiles(source, plan, first_tile);
  source.param("extent_y", plan.out_y);
  source.param("extent_x", plan.out_x);
  source.param("plane", plan.m_plane());
  const int64_t total = plan.p.groups * plan.m * plan.pitch / plan.width;
  source.param("total", total);
  const LinearGrid grid = tile_grid(total, facts);
  return source.finish(kernel_text("winograd_result"), grid.group, grid.grid);
}

std::shared_ptr<InnerMatmul> product_of(const Plan& plan) {
  const int64_t points = plan.points(), groups = plan.p.groups;
  const auto matrices = [&](int64_t rows, int64_t columns, int64_t plane) {
    bp_tensor_desc desc = dense(BP_F32, {points, groups, rows, columns});
    desc.strides[0] = plane;
    return desc;
  };
  return std::make_shared<InnerMatmul>(
      *plan.p.op, std::vector{matrices(plan.m, plan.k, plan.u_plane()), matrices(plan.k, plan.pitch, plan.v_plane())},
      matrices(plan.m, plan.pitch, plan.m_plane()), false);
}

Recipe build(const ConvolutionProblem& p, const WinogradScheme& scheme, const DeviceFacts& facts,
             const Variant& product) {
  const Plan plan(p, scheme, facts);
  const Recipe multiply = product.build();
  const uint64_t v = plan.u_bytes, m = v + plan.v_bytes, rest = m + plan.m_bytes;
  Recipe recipe;
  recipe.launches.push_back(transform_filters(plan, facts));
  for (int64_t chunk = 0; chunk < plan.chunks; ++chunk) {
    recipe.launches.push_back(transform_data(plan, facts, chunk * plan.pitch));
    append_inner(recipe, multiply, {{.offset = 0}, {.offset = v}}, {.offset = m}, rest);
    recipe.launches.push_back(transform_results(plan, facts, chunk * plan.pitch));
  }
  return recipe;
}

bool suits(const ConvolutionProblem& p) {
  if (p.dtype != BP_F32 && p.dtype != BP_F16 && p.dtype != BP_BF16) return false;
  if (p.direction == BP_OP_CONVOLUTION_GRAD_FILTER || p.kernel != Spatial{1, 3, 3}) return false;
  if (p.stride != Spatial{1, 1, 1} || p.dilation[1] != 1 || p.dilation[2] != 1) return false;
  // Below three channels the transforms cost more than the products they save.
  return p.in[0] == 1 && p.out[0] == 1 && p.pad[0] == 0 && p.group_channels() >= 3 && p.group_filters() >= 3;
}

/// Expected time relative to register tiles: the products that are left, the transforms (of which each product shares a
/// part that falls with the channels), the filters' transforms over all tiles. Fitted to PoCL and lavapipe, which lie 3
/// apart as tiles are quicker on the former.
double expected_time(const Plan& plan, const DeviceFacts& facts) {
  const double step = plan.scheme.step, points = plan.points(), products = points / (9 * step * step);
  const double share = facts.dialect == Dialect::opencl_c && facts.cpu_like ? 48 / step : 4;
  return products + share * (1.0 / static_cast<double>(plan.m) + 1.0 / static_cast<double>(plan.k)) +
         12.0 / static_cast<double>(plan.tiles);
}

}  // namespace

void list_convolution_winograd(const ConvolutionProblem& p, const DeviceFacts& facts, Variants& out) {
  if (!suits(p)) return;
  for (const WinogradScheme& scheme : winograd_schemes()) {
    const Plan plan(p, scheme, facts);
    const uint64_t largest = std::max({plan.u_bytes, plan.v_bytes, plan.m_bytes});
    if (plan.tiles == 0 || largest > facts.max_binding_bytes || largest / 4 > INT32_MAX) continue;
    const std::shared_ptr<InnerMatmul> inner = product_of(plan);
    Variants products;
    list_matmul(inner->op, facts, products);
    const Variant& product = products.front();
    out.push_back({.name = "winograd@m=" + std::to_string(scheme.step) + "," + product.name,
                   .workspace = plan.u_bytes + plan.v_bytes + plan.m_bytes + product.workspace,
                   .prior = expected_time(plan, facts),
                   .steps = product.steps,
                   .notes = BP_NOTE_WINOGRAD | product.notes,
                   .determinism = BP_DETERMINISM_RUN,
                   .build = [p, &scheme, facts, product, inner] { return build(p, scheme, facts, product); }});
  }
}

}  // namespace backplane::codegen
