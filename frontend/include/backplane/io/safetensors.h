// SPDX-License-Identifier: Apache-2.0
// Named tensors in one file, in the safetensors format (https://huggingface.co/docs/safetensors): what weights are
// saved to and loaded from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace backplane::io {

/// A tensor in host memory. `dtype` is a BP_* code of plugin.h; `data` is dense, row-major, and holds exactly
/// product(shape) elements. Rank 0 is a scalar; extents may be 0.
struct HostTensor {
  uint32_t dtype = 0;
  std::vector<int64_t> shape;
  std::vector<std::byte> data;
};

struct TensorFile {
  std::map<std::string, HostTensor> tensors;
  std::map<std::string, std::string> metadata;  ///< free text, for example {"model", "cnn"}
};

/// Reads a whole file. Throws FileError when it is missing, truncated, not safetensors, inconsistent (offsets out of
/// range, overlaps, holes, sizes that do not fit dtype and shape, a name twice) or holds a dtype that Backplane has
/// not.
TensorFile read_safetensors(const std::filesystem::path& file);

/// The same from memory; `name` stands for the file in messages.
TensorFile parse_safetensors(std::span<const std::byte> bytes, const std::string& name);

/// Writes `file` whole or not at all: into a temporary file beside it, synced, then renamed over it. When anything
/// fails, a full disk included, an old file stays as it was and the temporary one is removed. Throws FileError; throws
/// std::invalid_argument, before anything is written, for a tensor whose data do not fit its dtype and shape.
void write_safetensors(const std::filesystem::path& file, const TensorFile& content);

/// Bytes of one element of a BP_* dtype, 0 for an unknown one.
int64_t element_size(uint32_t dtype);

}  // namespace backplane::io
