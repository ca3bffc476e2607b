// SPDX-License-Identifier: Apache-2.0
// GATHER: one work-item per element of the result.
#include "backplane/sdk/program.hpp"
#include "dialect.h"
#include "family.h"
#include "source.h"

namespace backplane::codegen {
namespace {

Recipe build_gather(const bp_op& op, const DeviceFacts& facts) {
  const bp_tensor_desc &x = op.inputs[0], &indices = op.inputs[1], &y = op.outputs[0];
  Source source(facts, "gather");
  source.input("x", 0, x);
  source.input("indices", 1, indices);
  source.output("y", 0, y);
  source.define("INDEX", compute_type(indices.dtype));
  source.define("ZERO", y.dtype == BP_BOOL ? "false" : sdk::is_float(y.dtype) && y.dtype != BP_F64 ? "0.0f" : "0");
  const int64_t total = y.shape[0] * y.shape[1] * y.shape[2];
  source.param("total", total);
  source.param("picks", y.shape[1]);
  source.param("inner", y.shape[2]);
  source.param("n", x.shape[1]);
  source.param("index_stride", indices.strides[0]);
  for (uint32_t axis = 0; axis < 3; ++axis) {
    source.param("x_s" + std::to_string(axis), x.strides[axis]);
    source.param("y_s" + std::to_string(axis), y.strides[axis]);
  }
  const LinearGrid grid = linear_grid(total, facts);
  return {{source.finish(kernel_text("gather"), grid.group, grid.grid)}};
}

void list(const bp_op& op, const DeviceFacts& facts, Variants& out) {
  out.push_back({.name = "item_per_element", .build = [&op, facts] { return build_gather(op, facts); }});
}

}  // namespace

extern const Family kGatherFamily{BP_OP_GATHER, nullptr, list};

}  // namespace backplane::codegen
