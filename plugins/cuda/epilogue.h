// SPDX-License-Identifier: Apache-2.0
// An epilogue as a launch of its own behind a library's sum over two inputs: where the sum is put, and what follows.
#pragma once

#include <vector>

#include "backplane/plugin.h"

namespace backplane::cuda {

/// The dtype that products of `dtype` are summed up in, and that an epilogue reads.
uint32_t sum_dtype(uint32_t dtype);

/// The sum cannot be made in the output: that has another dtype, or may be the very view of an extra input, which the epilogue
/// is yet to read.
bool sum_needs_own_place(const bp_op& op);

/// The sum's descriptor: that of the output, or dense in its own place.
bp_tensor_desc sum_of(const bp_op& op);

/// The operation that the epilogue is: POINTWISE over the sum and the extra inputs. `inputs` keeps its descriptors.
bp_op epilogue_operation(const bp_op& op, std::vector<bp_tensor_desc>& inputs);

}  // namespace backplane::cuda
