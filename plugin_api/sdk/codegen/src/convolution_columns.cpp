// SPDX-License-Identifier: Apache-2.0
// im2col: what the taps meet at each place as the columns of a matrix (kernels/convolution_columns.kernel), then MATMUL
// of the filters with it, batched over images and groups. Images are taken in chunks, so that the columns stay in a
// cache (on a GPU: in bounds). For filters that are large or see few channels; only the result, the gradients have
// better ways.
#include <algorithm>

#include "backplane/sdk/program.hpp"
#include "convolution.h"
#include "inner_matmul.h"
#include "matmul.h"
#include "vectors.h"

namespace backplane::codegen {
namespace {

constexpr int64_t kMostChunks = 24;  // each is a few launches with texts of their own

int64_t inner_extent(const ConvolutionProblem& p) { return p.group_channels() * p.taps(); }

/// Images of a chunk, a divisor of all: as many as fit `most` elements of columns, but not too few.
int64_t images_of_chunk(const ConvolutionProblem& p, int64_t most) {
  const int64_t each = p.groups * inner_extent(p) * p.positions();
  for (int64_t chunks = 1; chunks <= std::min(p.n, kMostChunks); ++chunks) {
    if (p.n % chunks == 0 && p.n / chunks * each <= most) return p.n / chunks;
  }
  for (int64_t chunks = std::min(p.n, kMostChunks); chunks > 1; --chunks) {
    if (p.n % chunks == 0) return p.n / chunks;
  }
  return p.n;
}

/// [image, group, filter, place] of an operand shaped like y, for `images` of them; rank 0 where that is not a view.
bp_tensor_desc as_matrices(const bp_tensor_desc& desc, const ConvolutionProblem& p, int64_t images) {
  int64_t stride = 1, extent = 1;
  for (uint32_t axis = desc.rank; axis-- > 2;) {
    if (desc.shape[axis] == 1) continue;
    if (extent == 1)
      stride = desc.strides[axis];
    else if (desc.strides[axis] != stride * extent)
      return {};
    extent *= desc.shape[axis];
  }
  const int64_t filters = p.group_filters();
  return {desc.dtype,
          4,
          {images, p.groups, filters, extent},
          {desc.strides[0], filters * desc.strides[1], desc.strides[1], stride}};
}

std::shared_ptr<InnerMatmul> product_of(const ConvolutionProblem& p, int64_t images) {
  const int64_t filters = p.group_filters(), inner = inner_extent(p);
  // The filters' channels and taps have to be crossed in one stride; others are rare.
  int64_t dense_stride = 1;
  for (uint32_t axis = 5; axis-- > 1; dense_stride *= p.w.shape[axis]) {
    if (p.w.shape[axis] != 1 && p.w.strides[axis] != dense_stride) return nullptr;
  }
  const bp_tensor_desc w{
      p.w.dtype, 4, {images, p.groups, filters, inner}, {0, filters * p.w.strides[0], p.w.strides[0], 1}};
  std::vector<bp_tensor_desc> operands{w, dense(p.dtype, {images, p.groups, inner, p.positions()})};
  for (uint32_t i = 2; i < p.op->num_inputs; ++i) operands.push_back(as_matrices(p.op->inputs[i], p, images));
  const bp_tensor_desc result = as_matrices(p.op->outputs[0], p, images);
  for (const bp_tensor_desc& desc : operands) {
    if (desc.rank == 0) return nullptr;
  }
  return result.rank == 0 ? nullptr : std::make_shared<InnerMatmul>(*p.op, std::move(operands), result, true);
}

Launch columns(const ConvolutionProblem& p, const DeviceFacts& facts, int64_t first_image, int64_t images) {
  Source source(facts, "convolution.columns");
  declare_vectors(source, 1, p.dtype);
  source.text("#define DIVIDE(q, r, i, n) int q = TO_INT(TO_UINT(i) / TO_UINT(n)); int r = (i) - q * (n);");
  source.input("x", p.x_index, p.op->inputs[p.x_index]);
  source.workspace("p", p.dtype, 0, images * p.groups * inner_extent(p) * p.positions(), true);
  constexpr const char* kUpper[] = {"Z", "Y", "X"};
  constexpr const char* kLower[] = {"z", "y", "x"};
  for (int axis = 0; axis < 3; ++axis) {
    source.define(std::string("TAPS_") + kUpper[axis], p.kernel[axis]);
    source.define(std::string("STEP_") + kUpper[axis], p.stride[axis]);
    source.define(std::string("APART_") + kUpper[axis], p.dilation[axis]);
    source.param(std::string("pad_") + kLower[axis], p.pad[axis]);
    source.param(std::string("in_") + kLower[axis], p.in[axis]);
    source.param(std::string("out_") + kLower[axis], p.out[axis]);
  }
  for (uint32_t axis = 0; axis < 4; ++axis) source.param("x_s" + std::to_string(axis), p.x.strides[axis]);
  if (p.x.strides[4] == 1)
    source.define("X_APART", 1);
  else
    source.param("X_APART", p.x.strides[4]);
  source.param("channels", p.c);
  source.param("first_image", first_image);
  source.define("WHOLE_ROWS", facts.cpu_like ? 1 : 0);
  const int64_t runs = facts.cpu_like ? 1 : p.out[2];
  source.param("runs", runs);
  const int64_t total = images * p.c * p.taps() * p.out[0] * p.out[1] * runs;
  source.param("total", total);
  const LinearGrid grid = linear_grid(total, facts, facts.cpu_like ? 8 : 0);
  return source.finish(kernel_text("convolution_columns"), grid.group, grid.grid);
}

uint64_t element_bytes(const bp_tensor_desc& desc) { return sdk::dtype_size(desc.dtype); }

/// Where an operand of a chunk's images begins; strides may be negative, as unsigned sums wrap alike.
uint64_t image_offset(const bp_tensor_desc& desc, int64_t image) {
  return static_cast<uint64_t>(image * desc.strides[0]) * element_bytes(desc);
}

Recipe build(const ConvolutionProblem& p, const DeviceFacts& facts, int64_t images, const Variant& product) {
  const Recipe multiply = product.build();
  const uint64_t rest = (product_of(p, images)->inputs[1].strides[0] * images * element_bytes(p.x) + 63) / 64 * 64;
  Recipe recipe;
  for (int64_t image = 0; image < p.n; image += images) {
    recipe.launches.push_back(columns(p, facts, image, images));
    std::vector<Whereabouts> inputs{{Slot::From::input, p.w_index, 0}, {Slot::From::workspace, 0, 0}};
    for (uint32_t i = 2; i < p.op->num_inputs; ++i) {
      inputs.push_back({Slot::From::input, i, image_offset(p.op->inputs[i], image)});
    }
    append_inner(recipe, multiply, inputs, {Slot::From::output, 0, image_offset(p.op->outputs[0], image)}, rest);
  }
  return recipe;
}

}  // namespace

void list_convolution_columns(const ConvolutionProblem& p, const DeviceFacts& facts, Variants& out) {
  // Filters of one tap are columns already; of one channel per group have ways of their own.
  if (p.direction != BP_OP_CONVOLUTION || p.taps() == 1 || p.n == 0 || p.positions() == 0) return;
  if (p.group_channels() == 1 && p.groups > 1) return;
  const int64_t images = images_of_chunk(p, facts.cpu_like ? 2 << 20 : 64 << 20);
  const std::shared_ptr<InnerMatmul> inner = product_of(p, images);
  if (inner == nullptr) return;
  const int64_t elements = images * inner->inputs[1].strides[0];
  const uint64_t bytes = (static_cast<uint64_t>(elements) * element_bytes(p.x) + 63) / 64 * 64;
  if (elements > INT32_MAX || bytes > facts.max_binding_bytes) return;
  Variants products;
  list_matmul(inner->op, facts, products);
  const Variant& product = products.front();
  out.push_back({.name = "im2col_" + product.name,
                 .workspace = bytes + product.workspace,
                 .prior = 2,
                 .steps = std::max<uint64_t>(product.steps, facts.cpu_like ? static_cast<uint64_t>(p.out[2]) : 0),
                 .notes = product.notes,
                 .determinism = BP_DETERMINISM_RUN,
                 .build = [p, facts, images, product, inner] { return build(p, facts, images, product); }});
}

}  // namespace backplane::codegen
