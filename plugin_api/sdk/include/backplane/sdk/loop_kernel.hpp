// SPDX-License-Identifier: Apache-2.0
// The simplest kernel for host memory: a plain function over pointers, and a copy of the op it was prepared for.
#pragma once

#include "backplane/sdk/host_backend.hpp"
#include "backplane/sdk/op_copy.hpp"

namespace backplane::sdk {

/// `in` and `out` point at elements (0, ..., 0); op.inputs, op.outputs, op.attrs and op.program are the kernel's own.
using Loops = void (*)(const bp_op& op, const void* const* in, void* const* out);

class LoopKernel final : public HostKernel {
 public:
  LoopKernel(const bp_op& op, Loops loops) : copy_(op), loops_(loops) {}
  void run(const bp_view* inputs, const bp_view* outputs, const bp_view&) const override {
    const void* in[2 * BP_PROGRAM_MAX_INPUTS];  // room for an epilogue's extra operands
    void* out[BP_PROGRAM_MAX_OUTPUTS];
    for (uint32_t i = 0; i < copy_.op().num_inputs; ++i) in[i] = pointer(inputs[i]);
    for (uint32_t i = 0; i < copy_.op().num_outputs; ++i) out[i] = pointer(outputs[i]);
    loops_(copy_.op(), in, out);
  }

 private:
  OpCopy copy_;
  Loops loops_;
};

}  // namespace backplane::sdk
