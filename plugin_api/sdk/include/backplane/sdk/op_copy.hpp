// SPDX-License-Identifier: Apache-2.0
// A bp_op that outlives the call: what a kernel keeps of the operation it was prepared for.
#pragma once

#include <cstring>
#include <vector>

#include "backplane/sdk/op.hpp"

namespace backplane::sdk {

/// Deep copy of a validated op: descriptors, attributes and program. The attributes of BP_OP_CUSTOM, whose size nobody
/// here knows, are not copied.
class OpCopy {
 public:
  explicit OpCopy(const bp_op& op)
      : op_(op), inputs_(op.inputs, op.inputs + op.num_inputs), outputs_(op.outputs, op.outputs + op.num_outputs) {
    op_.name = nullptr;
    op_.inputs = inputs_.data();
    op_.outputs = outputs_.data();
    op_.attrs = nullptr;
    if (op_facts(op.code) != nullptr && op.attrs != nullptr) {
      uint32_t size = 0;
      std::memcpy(&size, op.attrs, sizeof(size));
      attrs_.resize((size + 7) / 8);
      std::memcpy(attrs_.data(), op.attrs, size);
      op_.attrs = attrs_.data();
    }
    if (op.program == nullptr) return;
    program_ = *op.program;
    if (program_.num_instrs != 0) instrs_.assign(program_.instrs, program_.instrs + program_.num_instrs);
    results_.assign(program_.outputs, program_.outputs + program_.num_outputs);
    program_.instrs = instrs_.data();
    program_.outputs = results_.data();
    op_.program = &program_;
  }
  OpCopy(const OpCopy&) = delete;
  OpCopy& operator=(const OpCopy&) = delete;

  const bp_op& op() const noexcept { return op_; }
  const bp_tensor_desc& in(uint32_t i) const noexcept { return inputs_[i]; }
  const bp_tensor_desc& out(uint32_t i) const noexcept { return outputs_[i]; }

 private:
  bp_op op_;
  std::vector<bp_tensor_desc> inputs_, outputs_;
  std::vector<uint64_t> attrs_;  // words, so that it is aligned for any attribute struct
  bp_program program_{};
  std::vector<bp_instr> instrs_;
  std::vector<uint16_t> results_;
};

}  // namespace backplane::sdk
