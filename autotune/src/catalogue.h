// SPDX-License-Identifier: Apache-2.0
// The catalogue of operations as data: names, and which attributes each has. Keys and files are written from this one
// table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "backplane/plugin.h"

namespace backplane::autotune {

struct AttrField {
  enum class Kind : uint8_t { u32, f64, i64x3 };
  std::string_view name;
  size_t offset;
  Kind kind;
};

struct CatalogueEntry {
  uint32_t code;
  std::string_view name;
  size_t attrs_bytes;                ///< of the attribute struct; 0 = none
  std::span<const AttrField> attrs;  ///< but for `size`
};

/// nullptr when this version does not know the code.
const CatalogueEntry* find_entry(uint32_t code);
const CatalogueEntry* find_entry(std::string_view name);

/// Values of one field; absent tails of a shorter struct are zero.
struct AttrValues {
  uint64_t integer = 0;
  double real = 0;
  int64_t list[3] = {0, 0, 0};
};
AttrValues read_attr(const AttrField& field, const void* attrs);
void write_attr(const AttrField& field, const AttrValues& values, void* attrs);

/// "f32" ...; "dtype9" for one without a name.
std::string dtype_name(uint32_t dtype);
/// 0 when there is none of that name.
uint32_t dtype_of(std::string_view name);

/// "strict", "tf32", "fast"
std::string math_name(uint32_t mode);

}  // namespace backplane::autotune
