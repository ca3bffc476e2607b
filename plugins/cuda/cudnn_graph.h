// SPDX-License-Identifier: Apache-2.0
// An operation as cuDNN's operation graph: CONVOLUTION and its two gradients, of one to three spatial axes, in f32, f64, f16
// and bf16; ATTENTION and its gradient (cudnn_attention.h). A graph has one node; an epilogue is a launch of its own behind it.
//
// Not here: crops (negative paddings), operands that run backwards or repeat elements.
#pragma once

#include "cudnn.h"

namespace backplane::cuda::dnn {

inline constexpr int64_t kAlignment = 16;  ///< of all addresses in bytes: what fast engines read at a time

/// Empty, or why cuDNN is not asked.
std::string refuse(const bp_op& op);

/// An operation graph with what it is made of, which it needs for as long as it lives, and what its tensors are.
struct Graph {
  struct Binding {
    int64_t uid;
    bool is_output;
    uint32_t index;
  };
  struct Constant {  ///< a tensor of one element that is passed by value
    int64_t uid;
    uint32_t bits;
  };
  std::vector<Descriptor> parts;
  std::vector<Binding> bindings;
  std::vector<Constant> constants;
  const Descriptor& whole() const { return parts.back(); }

  /// The operation's input or output as a tensor, which gets the next uid; `as` describes it instead of its own descriptor.
  const Descriptor& add(const Api& api, const bp_op& op, bool is_output, uint32_t index, const bp_tensor_desc* as = nullptr);
  /// The only node, with which the graph is complete.
  void finish(const Api& api, const Target& target, Descriptor node);
};
/// Throws where cuDNN does not take it.
Graph make_graph(const Api& api, const Target& target, const bp_op& op);

/// A tensor descriptor that is not finalised yet.
Descriptor new_tensor(const Api& api, int64_t uid, int data_type, const std::vector<int64_t>& shape,
                      const std::vector<int64_t>& strides);

/// No extent is 0 and no stride of more than one element is 0 or negative.
bool suits(const bp_tensor_desc& desc);

}  // namespace backplane::cuda::dnn
