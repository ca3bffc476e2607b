// SPDX-License-Identifier: Apache-2.0
// Reads IDX files, the format of MNIST and its kin, plain or gzip-compressed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <vector>

namespace backplane::data {

/// Type codes as in the file (third byte of the magic number).
enum class IdxType : uint8_t { u8 = 0x08, i8 = 0x09, i16 = 0x0B, i32 = 0x0C, f32 = 0x0D, f64 = 0x0E };

/// Bytes of one element.
int64_t idx_element_size(IdxType type);

struct IdxArray {
  IdxType type = IdxType::u8;
  std::vector<int64_t> shape;    ///< 1 ... 8 extents
  std::vector<std::byte> bytes;  ///< row-major, in the byte order of this machine

  int64_t elements() const;
};

/// Reads a whole file. Throws FileError when it is missing, not an IDX file, truncated, damaged or too long. Memory
/// grows with what the file really holds, never with what its header merely claims.
IdxArray read_idx(const std::filesystem::path& file);

}  // namespace backplane::data
