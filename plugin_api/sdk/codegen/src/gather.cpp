// SPDX-License-Identifier: Apache-2.0
// GATHER: one work-item per element of the result or, for drivers that run on CPU cores, per run of neighbours.
#include "backplane/sdk/program.hpp"
#include "dialect.h"
#include "family.h"
#include "source.h"

namespace backplane::codegen {
namespace {

/// " * name" behind a coordinate; a stride of 1 is part of the text.
std::string step(Source& source, std::string_view name, int64_t stride) {
  source.param(name, stride);
  return stride == 1 ? "" : "* " + std::string(name);
}

Recipe build_gather(const bp_op& op, const DeviceFacts& facts, int64_t run) {
  const bp_tensor_desc &x = op.inputs[0], &indices = op.inputs[1], &y = op.outputs[0];
  Source source(facts, "gather");
  source.input("x", 0, x);
  source.input("indices", 1, indices);
  source.output("y", 0, y);
  source.define("INDEX", compute_type(indices.dtype));
  source.define("ZERO", y.dtype == BP_BOOL ? "false" : compute_type(y.dtype) == "float" ? "0.0f" : "0");
  const int64_t parts = (y.shape[2] + run - 1) / run, total = y.shape[0] * y.shape[1] * parts;
  source.param("total", total);
  source.param("picks", y.shape[1]);
  source.param("inner", y.shape[2]);
  source.param("n", x.shape[1]);
  source.param("index_stride", indices.strides[0]);
  for (uint32_t axis = 0; axis < 2; ++axis) {
    source.param("x_s" + std::to_string(axis), x.strides[axis]);
    source.param("y_s" + std::to_string(axis), y.strides[axis]);
  }
  source.define("X_STEP", step(source, "x_s2", x.strides[2]));
  source.define("Y_STEP", step(source, "y_s2", y.strides[2]));
  if (run == 1) {
    const LinearGrid grid = linear_grid(total, facts);
    return {{source.finish(kernel_text("gather"), grid.group, grid.grid)}};
  }
  source.param("parts", parts);
  source.param("run", run);
  const LinearGrid grid = linear_grid(total, facts, facts.dialect == Dialect::opencl_c ? 1 : 32);
  return {{source.finish(kernel_text("gather_rows"), grid.group, grid.grid)}};
}

void list(const bp_op& op, const DeviceFacts& facts, Variants& out) {
  if (facts.cpu_like && op.outputs[0].shape[2] >= 8) {
    const int64_t run = facts.dialect == Dialect::opencl_c ? 4096 : 64;
    out.push_back({.name = "rows@elements=" + std::to_string(run),
                   .determinism = BP_DETERMINISM_DEVICE,
                   .build = [&op, facts, run] { return build_gather(op, facts, run); }});
  }
  out.push_back({.name = "item_per_element",
                 .prior = out.empty() ? 1.0 : 4.0,
                 .determinism = BP_DETERMINISM_DEVICE,
                 .build = [&op, facts] { return build_gather(op, facts, 1); }});
}

}  // namespace

extern const Family kGatherFamily{BP_OP_GATHER, nullptr, list};

}  // namespace backplane::codegen
