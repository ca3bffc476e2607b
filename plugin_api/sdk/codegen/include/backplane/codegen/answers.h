// SPDX-License-Identifier: Apache-2.0
// The answers of bp.kernels that every plugin gives that offers what codegen offers: they differ in the name before the
// reason only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "backplane/codegen/codegen.h"
#include "backplane/sdk/answers.hpp"

namespace backplane::codegen {

/// `plugin` is the name that stands in brackets before what is said, as in "[opencl] matmul: ...".
void answer_query(const bp_op& op, const DeviceFacts& facts, const char* plugin, sdk::Support& support);
/// `plugin_id` goes into code_hash(): BACKPLANE_<PLUGIN>_OWN_ID.
void answer_variants(const bp_op& op, const DeviceFacts& facts, std::string_view plugin_id, std::vector<bp_variant>& list);

/// The variant of that name, or the default for NULL; throws BP_E_NOT_FOUND naming those there are.
Variant choose_variant(const bp_op& op, const DeviceFacts& facts, const char* plugin, const char* name);

}  // namespace backplane::codegen
