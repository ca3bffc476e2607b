// SPDX-License-Identifier: Apache-2.0
// ATTENTION and ATTENTION_GRAD as cuDNN's one operation for each, from 9.21 on: f16 and bf16, heads of up to 128 elements,
// causal or not. A causal mask is a graph inside the operation, which the scores go through:
//
//     scores --> band: i + shift >= j ? score : -inf --> what softmax gets,   shift = keys - queries
//
// Not here: other masks, f32, queries that see no key.
#pragma once

#include "cudnn_graph.h"

namespace backplane::cuda::dnn {

bool is_attention(const bp_op& op);
/// Empty, or why not.
std::string refuse_attention(const bp_op& op);
Graph make_attention(const Api& api, const Target& target, const bp_op& op);

}  // namespace backplane::cuda::dnn
