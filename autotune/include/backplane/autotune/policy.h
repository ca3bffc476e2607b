// SPDX-License-Identifier: Apache-2.0
// What an operation's kernels may give up or use, as the user rules for a whole process. It becomes part of every
// bp_op, so that devices, stored measurements and the race all see it there.
#pragma once

#include <cstdint>

#include "backplane/host/kernel_op.h"
#include "backplane/plugin.h"

namespace backplane::autotune {

struct Policy {
  uint32_t math_mode = BP_MATH_STRICT;
  bool deterministic = false;
  uint64_t max_workspace = UINT64_MAX;

  /// BACKPLANE_MATH, BACKPLANE_DETERMINISTIC, BACKPLANE_MAX_WORKSPACE_MB. Throws host::Error on a value that makes no
  /// sense.
  static Policy from_environment();
  /// Nothing is ruled: operations stay as they are.
  bool is_default() const { return math_mode == BP_MATH_STRICT && !deterministic && max_workspace == UINT64_MAX; }
  /// `op` under these rules.
  host::KernelOp rule(host::KernelOp op) const {
    op.math_mode = math_mode;
    op.deterministic = deterministic ? 1 : 0;
    op.max_workspace = max_workspace;
    return op;
  }
};

}  // namespace backplane::autotune
