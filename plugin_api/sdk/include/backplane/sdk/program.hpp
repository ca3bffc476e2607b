// SPDX-License-Identifier: Apache-2.0
// Facts about dtypes and scalar opcodes as tables, and the check of a scalar program.
#pragma once

#include <cstdint>
#include <string>

#include "backplane/plugin.h"

namespace backplane::sdk {

/// Bytes of one element, 0 for an unknown dtype.
inline constexpr uint32_t dtype_size(uint32_t dtype) noexcept {
  constexpr uint8_t kSizes[] = {0, 4, 8, 2, 2, 4, 8, 1};
  return dtype < sizeof(kSizes) ? kSizes[dtype] : 0;
}
inline constexpr const char* dtype_name(uint32_t dtype) noexcept {
  constexpr const char* kNames[] = {"invalid", "f32", "f64", "f16", "bf16", "i32", "i64", "bool"};
  return dtype < 8 ? kNames[dtype] : "unknown";
}
inline constexpr bool is_float(uint32_t dtype) noexcept { return dtype >= BP_F32 && dtype <= BP_BF16; }
inline constexpr bool is_int(uint32_t dtype) noexcept { return dtype == BP_I32 || dtype == BP_I64; }

}  // namespace backplane::sdk
