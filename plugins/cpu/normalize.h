// SPDX-License-Identifier: Apache-2.0
// What the implementations of NORMALIZE share.
#pragma once

#include "work.h"

namespace backplane::cpu {

#if defined(BACKPLANE_CPU_ONEDNN)
/// oneDNN's implementations of layer norm for dense f32 rows (onednn_normalize.cpp).
void list_onednn_layer_norm(const Op& op, Candidates& out);
/// And of batch norm's forward pass (onednn_batch_norm.cpp).
void list_onednn_batch_norm(const Op& op, Candidates& out);
#endif

}  // namespace backplane::cpu
