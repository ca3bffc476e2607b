// SPDX-License-Identifier: Apache-2.0
#include "epilogue.h"

#include <algorithm>

#include "backplane/sdk/program.hpp"

namespace backplane::cuda {

uint32_t sum_dtype(uint32_t dtype) { return dtype == BP_F64 ? uint32_t{BP_F64} : uint32_t{BP_F32}; }

bool sum_needs_own_place(const bp_op& op) {
  const bp_tensor_desc& y = op.outputs[0];
  if (y.dtype != sum_dtype(op.inputs[0].dtype)) return true;
  return std::any_of(op.inputs + 2, op.inputs + op.num_inputs, [&](const bp_tensor_desc& extra) {
    return sdk::dtype_size(extra.dtype) == sdk::dtype_size(y.dtype) && std::equal(y.strides, y.strides + y.rank, extra.strides);
  });
}

bp_tensor_desc sum_of(const bp_op& op) {
  bp_tensor_desc sum = op.outputs[0];
  if (sum_needs_own_place(op)) {
    int64_t elements = 1;
    for (uint32_t axis = sum.rank; axis-- > 0; elements *= sum.shape[axis]) sum.strides[axis] = elements;
  }
  sum.dtype = sum_dtype(op.inputs[0].dtype);
  return sum;
}

bp_op epilogue_operation(const bp_op& op, std::vector<bp_tensor_desc>& inputs) {
  inputs.assign(op.inputs + 1, op.inputs + op.num_inputs);  // the sum, then the extra inputs
  inputs[0] = sum_of(op);
  bp_op pointwise = op;
  pointwise.code = BP_OP_POINTWISE;
  pointwise.name = nullptr;
  pointwise.attrs = nullptr;
  pointwise.inputs = inputs.data();
  pointwise.num_inputs = static_cast<uint32_t>(inputs.size());
  return pointwise;
}

}  // namespace backplane::cuda
