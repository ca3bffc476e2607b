/* SPDX-License-Identifier: Apache-2.0
 * plugin.h, the interfaces beside it and the C part of the SDK by themselves: compiled with every warning as an error, in C and in C++. */
#include "backplane/plugin.h"

#include "backplane/collective.h"
#include "backplane/dlpack.h"
#include "backplane/peer.h"

#include "backplane/sdk/walk.h"

bp_status use_of_the_header(bp_error* error);
bp_status use_of_the_header(bp_error* error) {
  bp_sdk_walk walk;
  const bp_tensor_desc scalar = {BP_F32, 0, {0}, {0}};
  bp_sdk_walk_begin(&walk, &scalar);
  return error != NULL && walk.count == 1 ? BP_OK : BP_E_INTERNAL;
}
