// SPDX-License-Identifier: Apache-2.0
// POINTWISE: the SDK's interpreter, 128 elements per instruction.
#include "kernel.hpp"

namespace backplane::reference {
namespace {

class Pointwise final : public Kernel {
 public:
  explicit Pointwise(const bp_op& op) : Kernel(op) {}
  void run(const bp_view* inputs, const bp_view* outputs, const bp_view&) const override {
    const void* sources[BP_PROGRAM_MAX_INPUTS];
    void* targets[BP_PROGRAM_MAX_OUTPUTS];
    for (uint32_t i = 0; i < num_inputs(); ++i) sources[i] = pointer(inputs[i]);
    for (uint32_t i = 0; i < num_outputs(); ++i) targets[i] = pointer(outputs[i]);
    bp_sdk_pointwise(&program(), num_inputs() != 0 ? &in(0) : nullptr, sources, &out(0), targets);
  }
};

}  // namespace

std::unique_ptr<sdk::HostKernel> make_pointwise(const bp_op& op) { return std::make_unique<Pointwise>(op); }

}  // namespace backplane::reference
