// SPDX-License-Identifier: Apache-2.0
// What a plugin answers with: support verdicts, variants, device descriptions, as small builders over the ABI structs.
#pragma once

#include <string_view>

#include "backplane/sdk/error.hpp"

namespace backplane::sdk {

/// The answer to a query.
class Support {
 public:
  void yes(std::string_view reason = {}) { set(BP_SUPPORT_YES, reason); }
  void no(std::string_view reason) { set(BP_SUPPORT_NO, reason); }
  void if_dense(uint32_t inputs, std::string_view reason) {
    set(BP_SUPPORT_IF_CHANGED, reason);
    value.want_dense = inputs;
  }
  void if_dtype(uint32_t dtype, std::string_view reason) {
    set(BP_SUPPORT_IF_CHANGED, reason);
    value.want_dtype = dtype;
  }
  bool is_yes() const { return value.verdict == BP_SUPPORT_YES; }
  bp_support value{sizeof(bp_support), BP_SUPPORT_NO, 0, 0, {}};

 private:
  void set(uint32_t verdict, std::string_view reason) {
    value.verdict = verdict;
    value.want_dense = value.want_dtype = 0;
    copy_text(value.reason, sizeof(value.reason), reason);
  }
};

inline bp_variant make_variant(std::string_view name, uint32_t flags = 0, uint64_t workspace = 0,
                               uint32_t numeric_notes = 0, uint32_t determinism = BP_DETERMINISM_RUN,
                               double prior = 0) {
  bp_variant variant{};
  variant.size = sizeof(variant);
  variant.flags = flags;
  copy_text(variant.name, sizeof(variant.name), name);
  variant.workspace = workspace;
  variant.numeric_notes = numeric_notes;
  variant.determinism = determinism;
  variant.prior = prior;
  return variant;
}

/// A bp_device_info with the fields every device has; fill in the others.
inline bp_device_info make_device_info(uint32_t index, uint32_t kind, uint32_t flags, std::string_view id,
                                       std::string_view name) {
  bp_device_info info{};
  info.size = sizeof(info);
  info.index = index;
  info.kind = kind;
  info.flags = flags;
  copy_text(info.id, sizeof(info.id), id);
  copy_text(info.name, sizeof(info.name), name);
  return info;
}

/// The only device of a plugin that works in host memory inside enqueue.
inline bp_device_info host_device_info(std::string_view id, std::string_view name) {
  return make_device_info(
      0, BP_KIND_CPU, BP_DEVICE_SYNCHRONOUS | BP_DEVICE_UNIFIED_MEMORY | BP_DEVICE_HOST_POINTERS, id, name);
}

}  // namespace backplane::sdk
