// SPDX-License-Identifier: Apache-2.0
// An operation as cuDNN's operation graph: CONVOLUTION and its two gradients, of one to three spatial axes, in f32, f64, f16
// and bf16. A graph has one node; an epilogue is a launch of its own behind it.
//
// Not here: crops (negative paddings), operands that run backwards or repeat elements, attention.
#pragma once

#include "cudnn.h"

namespace backplane::cuda::dnn {

/// uid 1 and 2 are the operation's inputs, 3 its output.
inline constexpr int64_t kUids[] = {1, 2, 3};
inline constexpr int64_t kAlignment = 16;  ///< of all addresses in bytes: what fast engines read at a time

/// Empty, or why the operation is none of these.
std::string refuse(const bp_op& op);

/// An operation graph with what it is made of, which it needs for as long as it lives.
struct Graph {
  std::vector<Descriptor> parts;
  const Descriptor& whole() const { return parts.back(); }
};
/// Throws where cuDNN does not take it.
Graph make_graph(const Api& api, const Target& target, const bp_op& op);

}  // namespace backplane::cuda::dnn
