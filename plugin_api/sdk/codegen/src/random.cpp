// SPDX-License-Identifier: Apache-2.0
// RANDOM: the same numbers on every device, so there is one way to do it.
#include "backplane/sdk/op.hpp"
#include "family.h"
#include "source.h"
#include "walk.h"

namespace backplane::codegen {
namespace {

Recipe build_random(const bp_op& op, const DeviceFacts& facts) {
  Source source(facts, "random");
  source.input("key", 0, op.inputs[0]);
  source.output("y", 0, op.outputs[0]);
  const Walk walk = merge_axes({&op.outputs[0]}, 0, op.outputs[0].rank);
  const int64_t blocks = (walk.count + 3) / 4;
  source.param("blocks", blocks);
  source.param("total", walk.count);
  source.param("key_stride", op.inputs[0].strides[0]);
  declare_walk(source, "PLACE", walk);
  source.define("VALUE(w)", sdk::attrs<bp_random_attrs>(op).kind == BP_RANDOM_BITS ? "TO_INT(w)" : "s_unit(w)");
  const LinearGrid grid = linear_grid(blocks, facts);
  return {{source.finish(kernel_text("random"), grid.group, grid.grid)}};
}

void list(const bp_op& op, const DeviceFacts& facts, Variants& out) {
  out.push_back({.name = "item_per_block",
                 .determinism = BP_DETERMINISM_DEVICE,
                 .build = [&op, facts] { return build_random(op, facts); }});
}

}  // namespace

extern const Family kRandomFamily{BP_OP_RANDOM, nullptr, list};

}  // namespace backplane::codegen
