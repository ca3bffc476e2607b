// SPDX-License-Identifier: Apache-2.0
// What the implementations of SOFTMAX, LOG_SOFTMAX and their gradients share.
#pragma once

#include "work.h"

namespace backplane::cpu {

/// Our own row kernels: f32, any strides. Dense rows need no workspace.
WorkPtr make_softmax_rows(const Op& op);

#if defined(BACKPLANE_CPU_ONEDNN)
/// oneDNN's implementations, for dense f32 rows along the last axis (onednn_softmax.cpp).
void list_onednn_softmax(const Op& op, Candidates& out);
#endif

}  // namespace backplane::cpu
