// SPDX-License-Identifier: Apache-2.0
#include "backplane/codegen/answers.h"

#include "backplane/sdk/op.hpp"

namespace backplane::codegen {

void answer_query(const bp_op& op, const DeviceFacts& facts, const char* plugin, sdk::Support& support) {
  std::string reason = refuse(op, facts);
  // Only a limit can leave nothing to choose from.
  const bool limited = op.max_workspace != UINT64_MAX || op.deterministic != 0;
  if (reason.empty() && limited && list_variants(op, facts).empty()) {
    reason = "every variant needs more workspace than " + std::to_string(op.max_workspace) +
             " bytes or is not deterministic";
  }
  if (reason.empty()) return support.yes();
  support.no("[" + std::string(plugin) + "] " + sdk::op_name(op) + ": " + reason);
}

void answer_variants(const bp_op& op, const DeviceFacts& facts, std::string_view plugin_id, std::vector<bp_variant>& list) {
  for (const Variant& v : list_variants(op, facts)) {
    const bool first = list.empty();
    const uint32_t flags = BP_VARIANT_SLOW_BUILD | (first ? uint32_t{BP_VARIANT_DEFAULT} : 0u);
    list.push_back(sdk::make_variant(v.name, flags, v.workspace, v.notes, v.determinism, first ? 1 : v.prior));
    list.back().code_hash = code_hash(plugin_id, v.build());
  }
}

Variant choose_variant(const bp_op& op, const DeviceFacts& facts, const char* plugin, const char* name) {
  std::vector<Variant> all = list_variants(op, facts);
  std::string names;
  for (Variant& v : all) {
    if (name == nullptr || v.name == name) return std::move(v);
    names += (names.empty() ? "" : ", ") + v.name;
  }
  throw sdk::Failure(BP_E_NOT_FOUND, "[" + std::string(plugin) + "] " + sdk::op_name(op) + " has no variant '" +
                                         (name != nullptr ? name : "default") + "'; there are: " + names);
}

}  // namespace backplane::codegen
