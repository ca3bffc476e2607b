// SPDX-License-Identifier: Apache-2.0
// A scalar program (plugin.h) as statements of the common language (source.h). One table row per opcode and class of
// dtype names the expression and the text of kernels/scalar_*.kernel that it needs; only those are put into a source.
//
// The statements keep the interpreter's meaning (sdk/scalar.h): f16 and bf16 values are rounded where they are defined,
// products are not fused with sums, integers wrap. Nothing is simplified here; that is the graph's business.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "source.h"

namespace backplane::codegen {

/// Empty when this device can compute every value of the program; else the value that it cannot.
std::string refuse_program(const bp_program& program, const uint32_t* input_dtypes, const DeviceFacts& facts);

/// Whether a loop over the program becomes vector code on a CPU: no nested loop, no library function.
bool is_vectorisable(const bp_program& program, const DeviceFacts& facts);

struct ProgramText {
  std::string statements;            ///< one line; defines a constant per instruction
  std::vector<std::string> outputs;  ///< expressions for the outputs, in their compute types
};

/// `inputs` are expressions for the values 0 ... num_inputs - 1 in their compute types. Names that the statements define
/// begin with `prefix`. Adds the functions that the program needs to `source`.
ProgramText program_text(Source& source, const bp_program& program, const uint32_t* input_dtypes,
                         const std::vector<std::string>& inputs, std::string_view prefix = "bp_v");

}  // namespace backplane::codegen
