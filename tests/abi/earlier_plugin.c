/* SPDX-License-Identifier: Apache-2.0
 *
 * A plugin as if of an earlier minor: built against a plugin.h whose structs and tables end sooner (resize_header.cmake).
 */
#include "backplane/sdk/host_backend.h"

static const char* supports(const bp_op* op) { return op->code == BP_OP_POINTWISE ? NULL : "only pointwise"; }

static void run(const bp_op* op, const void* const* in, void* const* out) {
  bp_sdk_pointwise(op->program, op->inputs, in, op->outputs, out);
}

_Static_assert(sizeof(bp_memory_api) == offsetof(bp_memory_api, host_pointer) + sizeof(void*), "the smaller header");

BP_SDK_HOST_PLUGIN("earlier", "0.9.0", "1", "built against an earlier minor", supports, run)
