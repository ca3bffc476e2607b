// SPDX-License-Identifier: Apache-2.0
// What the implementations of POOL and POOL_GRAD share.
#pragma once

#include "work.h"

namespace backplane::cpu {

/// Our own best kernel: f32, any strides, no workspace.
WorkPtr make_own_pool(const Op& op);

#if defined(BACKPLANE_CPU_ONEDNN)
/// oneDNN's implementations for row-major and channels-last f32 operands (onednn_pool.cpp). `taps_prior` is that of our
/// generic kernel, beside which they were measured.
void list_onednn_pool(const Op& op, double taps_prior, Candidates& out);
#endif

}  // namespace backplane::cpu
