// SPDX-License-Identifier: Apache-2.0
#include "inner_matmul.h"

namespace backplane::codegen {

InnerMatmul::InnerMatmul(const bp_op& outer, std::vector<bp_tensor_desc> operands, const bp_tensor_desc& result,
                         bool epilogue)
    : inputs(std::move(operands)), output(result), op(outer) {
  op.code = BP_OP_MATMUL;
  op.attrs = nullptr;
  op.inputs = inputs.data();
  op.num_inputs = static_cast<uint32_t>(inputs.size());
  op.outputs = &output;
  op.num_outputs = 1;
  op.max_workspace = UINT64_MAX;  // the outer operation's variants are judged as a whole
  if (!epilogue) op.program = nullptr;
}

bp_tensor_desc dense(uint32_t dtype, std::initializer_list<int64_t> shape) {
  bp_tensor_desc desc{};
  desc.dtype = dtype;
  for (const int64_t extent : shape) desc.shape[desc.rank++] = extent;
  int64_t stride = 1;
  for (uint32_t axis = desc.rank; axis-- > 0; stride *= desc.shape[axis]) desc.strides[axis] = stride;
  return desc;
}

void append_inner(Recipe& recipe, const Recipe& inner, const std::vector<Whereabouts>& inputs,
                  const Whereabouts& output, uint64_t workspace) {
  for (Launch launch : inner.launches) {
    for (Slot& slot : launch.slots) {
      if (slot.from == Slot::From::workspace) {
        slot.offset += workspace;
        continue;
      }
      const Whereabouts& at = slot.from == Slot::From::input ? inputs[slot.index] : output;
      slot.from = at.from;
      slot.index = at.index;
      slot.offset += at.offset;
    }
    recipe.launches.push_back(std::move(launch));
  }
}

}  // namespace backplane::codegen
