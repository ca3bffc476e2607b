// SPDX-License-Identifier: Apache-2.0
// The JSON header of a safetensors file, parsed and checked; internal to io.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace backplane::io {

// The reference implementation refuses longer headers, so that a damaged length does not ask for all memory.
inline constexpr uint64_t kMaxHeaderBytes = 100'000'000;

struct TensorEntry {
  std::string name;
  uint32_t dtype = 0;  // BP_*
  std::vector<int64_t> shape;
  uint64_t begin = 0;  // bytes from the start of the data
  uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<TensorEntry> tensors;  // in the order of their data, which they cover without hole or overlap
  std::map<std::string, std::string> metadata;
};

/// `data_bytes` is what the file holds after the header. Throws FileError naming `path`.
SafetensorsHeader parse_header(std::string_view json, uint64_t data_bytes, const std::string& path);

/// "F32" for BP_F32 and so on; nullptr for an unknown code.
const char* dtype_name(uint32_t dtype);

}  // namespace backplane::io
