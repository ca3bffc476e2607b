// SPDX-License-Identifier: Apache-2.0
// POOL and POOL_GRAD: a work-item per element, or on CPU drivers per row of the output; the gradient of windows that do not
// overlap by blocks.
//
// Windows, strides, dilations and paddings are part of the text: models have few of them, loops over a window unroll
// and divisions by a stride become multiplications. Not here: bool.
#include <algorithm>
#include <string>

#include "backplane/sdk/op.hpp"
#include "backplane/sdk/program.hpp"
#include "dialect.h"
#include "family.h"
#include "source.h"
#include "walk.h"

namespace backplane::codegen {
namespace {

uint32_t compute_dtype(uint32_t dtype) { return sdk::is_float(dtype) && dtype != BP_F64 ? uint32_t{BP_F32} : dtype; }

/// What a sum or, for POOL's MAX, a maximum starts from.
std::string start(uint32_t dtype, bool maximum) {
  if (!maximum) return dtype == BP_F64 ? "TO_F64(0)" : "0.0f";
  switch (dtype) {
    case BP_I32:
      return "(-2147483647 - 1)";
    case BP_I64:
      return "MAKE_I64(0x80000000u, 0u)";
    case BP_F64:
      return "MAKE_F64(0xfff00000u, 0u)";
    default:
      return "(-INF)";
  }
}

void declare_windows(Source& source, const bp_pool_attrs& attrs) {
  const uint32_t missing = 3 - attrs.spatial_rank;
  const auto constants = [&](const char* prefix, const int64_t* values, int64_t none) {
    for (uint32_t axis = 0; axis < 3; ++axis) {
      source.define(prefix + std::to_string(axis), axis < missing ? none : values[axis - missing]);
    }
  };
  int64_t places = 1;
  for (uint32_t axis = 0; axis < attrs.spatial_rank; ++axis) places *= std::min<int64_t>(attrs.window[axis], 64);
  source.define("UNROLL_WINDOW", places <= 64 ? "UNROLL" : "");
  constants("W", attrs.window, 1);
  constants("S", attrs.stride, 1);
  constants("D", attrs.dilation, 1);
  constants("P", attrs.pad_low, 0);
}

/// Extents "in0" ... or strides "x_s0" ... of the three spatial axes.
void declare_axes(Source& source, const std::string& prefix, const bp_tensor_desc& desc, const int64_t* values,
                  int64_t none) {
  const uint32_t missing = 5 - desc.rank;
  for (uint32_t axis = 0; axis < 3; ++axis) {
    const std::string name = prefix + std::to_string(axis);
    if (axis < missing)
      source.define(name, none);
    else
      source.param(name, values[axis - missing + 2]);
  }
}

enum class Way { element, row, block };

Recipe build(const bp_op& op, const DeviceFacts& facts, Way way) {
  const bool grad = op.code == BP_OP_POOL_GRAD;
  const bp_pool_attrs& attrs = sdk::attrs<bp_pool_attrs>(op);
  const bp_tensor_desc &x = op.inputs[0], &y = grad ? op.inputs[1] : op.outputs[0];
  const uint32_t dtype = compute_dtype(x.dtype);
  const bool maximum = attrs.kind == BP_POOL_MAX;
  Source source(facts, grad ? "pool_grad" : "pool");
  std::vector<std::pair<const char*, const bp_tensor_desc*>> operands{{"x", &x}, {"y", &y}};
  if (grad) operands.insert(operands.end(), {{"dy", &op.inputs[2]}, {"dx", &op.outputs[0]}});
  std::vector<const bp_tensor_desc*> descs;
  for (uint32_t i = 0; i < operands.size(); ++i) {
    if (i + 1 == operands.size())
      source.output(operands[i].first, 0, *operands[i].second);
    else
      source.input(operands[i].first, i, *operands[i].second);
    descs.push_back(operands[i].second);
  }
  source.define("MAX", maximum);
  source.define("ROW", way == Way::row);
  source.define("COUNT_PADDING", attrs.count_padding != 0);
  source.define("REAL", compute_type(dtype));
  source.define("TO_REAL(x)", dtype == BP_F64 ? "TO_F64(x)" : "TO_FLOAT(x)");
  source.define("START", start(dtype, maximum && !grad));
  source.define("NOT_A_NUMBER(x)", dtype == BP_F32 ? "IS_NAN(x)" : dtype == BP_F64 ? "IS_NAN64(x)" : "false");
  declare_windows(source, attrs);
  declare_axes(source, "in", x, x.shape, 1);
  declare_axes(source, "out", y, y.shape, 1);
  for (const auto& [name, desc] : operands) declare_axes(source, std::string(name) + "_s", *desc, desc->strides, 0);
  declare_walk(source, "PLANES", merge_axes(descs, 0, 2));
  const bp_tensor_desc& over = grad ? x : y;
  int64_t items = 1;
  for (uint32_t axis = 0; axis + (way == Way::row ? 1 : 0) < over.rank; ++axis) {
    const int64_t stride = way == Way::block && axis > 1 ? attrs.stride[axis - 2] : 1;
    const int64_t extent = (over.shape[axis] + stride - 1) / stride;
    if (way == Way::block && axis > 1) source.param("blocks" + std::to_string(5 - over.rank + axis - 2), extent);
    items *= extent;
  }
  for (uint32_t axis = 0; way == Way::block && axis + over.rank < 5; ++axis) source.define("blocks" + std::to_string(axis), 1);
  source.param("items", items);
  const LinearGrid grid = linear_grid(items, facts, way == Way::row ? 16 : 0);
  const char* name = way == Way::block ? "pool_grad_blocks" : grad ? "pool_grad" : "pool";
  return {{source.finish(kernel_text(name), grid.group, grid.grid)}};
}

/// Windows that neither overlap nor reach before the input, and blocks that are small enough to be straight-line code.
bool has_blocks(const bp_op& op) {
  const bp_pool_attrs& attrs = sdk::attrs<bp_pool_attrs>(op);
  int64_t cells = 1;
  for (uint32_t axis = 0; axis < attrs.spatial_rank; ++axis) {
    if (attrs.stride[axis] < attrs.window[axis] || attrs.dilation[axis] != 1 || attrs.pad_low[axis] != 0) return false;
    cells *= std::min<int64_t>(attrs.stride[axis], 64);
  }
  return op.code == BP_OP_POOL_GRAD && cells <= 64;
}

std::string refuse_pool(const bp_op& op, const DeviceFacts&) {
  const bp_pool_attrs& attrs = sdk::attrs<bp_pool_attrs>(op);
  for (uint32_t axis = 0; axis < attrs.spatial_rank; ++axis) {
    // The largest number that the kernels form is a place beyond the padded input.
    const int64_t reach = attrs.window[axis] * attrs.dilation[axis] + attrs.stride[axis];
    if (reach > INT32_MAX / 4 || op.inputs[0].shape[2 + axis] > INT32_MAX / 4) return "a window beyond 2^29 elements";
  }
  return op.inputs[0].dtype == BP_BOOL ? "pooling of bool; it decomposes" : "";
}

void list(const bp_op& op, const DeviceFacts& facts, Variants& out) {
  const auto add = [&](const char* name, Way way) {
    Variant variant;
    variant.name = name;
    variant.prior = out.empty() ? 1 : 2;
    const bp_pool_attrs& attrs = sdk::attrs<bp_pool_attrs>(op);
    uint64_t window = 1;
    for (uint32_t axis = 0; axis < attrs.spatial_rank; ++axis) window *= static_cast<uint64_t>(attrs.window[axis]);
    // A window's elements, per result of a row; the gradient asks for each window whether an earlier element won.
    variant.steps = window * (way == Way::row ? static_cast<uint64_t>(op.outputs[0].shape[op.outputs[0].rank - 1]) : 1) *
                    (op.code == BP_OP_POOL_GRAD ? window : 2);
    if (way == Way::block) variant.steps = 0;
    variant.determinism = BP_DETERMINISM_DEVICE;
    variant.build = [&op, facts, way] { return build(op, facts, way); };
    out.push_back(std::move(variant));
  };
  const bool rows = facts.cpu_like && facts.dialect == Dialect::opencl_c && op.code == BP_OP_POOL;
  const bool largest = sdk::attrs<bp_pool_attrs>(op).kind == BP_POOL_MAX;
  // PoCL makes vector code of a row's sums, and not of its comparisons.
  if (rows && !largest) add("item_per_row", Way::row);
  if (has_blocks(op)) add("item_per_block", Way::block);
  add("item_per_element", Way::element);
  if (rows && largest) add("item_per_row", Way::row);
}

}  // namespace

extern const Family kPoolFamily{BP_OP_POOL, refuse_pool, list};
extern const Family kPoolGradFamily{BP_OP_POOL_GRAD, refuse_pool, list};

}  // namespace backplane::codegen
