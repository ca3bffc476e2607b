// SPDX-License-Identifier: Apache-2.0
// A family: the operations that one group of kernel texts serves. The list of families is in families.cpp.
#pragma once

#include "backplane/codegen/codegen.h"

namespace backplane::codegen {

using Variants = std::vector<Variant>;

struct Family {
  uint32_t code;  ///< BP_OP_*
  /// Empty when the device can do it. Common conditions (dtypes, sizes, number of operands) were checked before.
  std::string (*refuse)(const bp_op& op, const DeviceFacts& facts);
  /// Appends variants, best guess first. Never called for what `refuse` refuses or when an output has no elements.
  void (*list)(const bp_op& op, const DeviceFacts& facts, Variants& out);
};

/// NULL when there is none for the code.
const Family* find_family(uint32_t code);

}  // namespace backplane::codegen
