// SPDX-License-Identifier: Apache-2.0
// An operation of the catalogue with storage for everything that bp_op points to, and its identity.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "backplane/plugin.h"

namespace backplane::host {

struct KernelOp {
  uint32_t code = 0;
  const char* name = "";
  std::vector<bp_tensor_desc> inputs, outputs;
  std::vector<std::byte> attrs;  ///< the code's attribute struct, empty where it has none
  std::vector<bp_instr> instrs;  ///< program or epilogue; with `program_outputs` empty there is none
  std::vector<uint16_t> program_outputs;
  uint32_t program_inputs = 0;
  uint32_t math_mode = BP_MATH_STRICT;
  uint32_t deterministic = 0;
  uint64_t max_workspace = UINT64_MAX;

  /// A copy of everything `op` points to, but for `name`, which stays borrowed.
  static KernelOp of(const bp_op& op);

  template <class T>
  void set_attrs(const T& value) {
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    attrs.assign(bytes, bytes + sizeof(T));
  }
  /// Canonical bytes: equal problems have equal signatures. The identity for caches.
  std::string signature() const;
  /// Calls `use(const bp_op&)` while the pointers inside are valid.
  template <class F>
  auto with_op(F&& use) const {
    bp_program program{};
    bp_op op{};
    fill(op, program);
    return use(static_cast<const bp_op&>(op));
  }

 private:
  void fill(bp_op& op, bp_program& program) const;
};

}  // namespace backplane::host
