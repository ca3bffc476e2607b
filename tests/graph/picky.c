/* SPDX-License-Identifier: Apache-2.0
 *
 * A card that takes scalar programs of at most one instruction: fusion has to leave things as they were.
 */
#include "backplane/sdk/host_backend.h"

static const char* supports(const bp_op* op) {
  if (op->code != BP_OP_POINTWISE) return "only pointwise";
  return op->program->num_instrs <= 1 ? NULL : "programs of at most one instruction";
}

static void run(const bp_op* op, const void* const* in, void* const* out) {
  bp_sdk_pointwise(op->program, op->inputs, in, op->outputs, out);
}

BP_SDK_HOST_PLUGIN("picky", "1.0.0", "1", "scalar programs of one instruction", supports, run)
