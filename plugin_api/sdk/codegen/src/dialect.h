// SPDX-License-Identifier: Apache-2.0
// What differs between the dialects, in one place: prelude text, and how a dtype is stored, loaded and stored.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "backplane/codegen/device_facts.h"

namespace backplane::codegen {

/// The text that every source of this dialect begins with; defines the names listed in source.h.
std::string prelude(const DeviceFacts& facts);

/// The type of a buffer's element: "float", "half", "uint16_t", ...
std::string_view storage_type(Dialect dialect, uint32_t dtype);
/// The type that an element is computed in: "float", "int", "bool", "i64", "f64".
std::string_view compute_type(uint32_t dtype);

/// An expression for element `index` of buffer `name` in its compute type, and a statement (no semicolon) that stores
/// `value` there.
std::string load_expression(Dialect dialect, uint32_t dtype, std::string_view name, std::string_view index);
std::string store_statement(Dialect dialect, uint32_t dtype, std::string_view name, std::string_view index,
                            std::string_view value);

}  // namespace backplane::codegen
