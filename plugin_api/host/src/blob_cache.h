// SPDX-License-Identifier: Apache-2.0
// Blobs that last between processes (compiled kernels): one file each, named by a hash of plugin and key. The file
// holds the full key and a checksum, so a collision, a torn write or a damaged disk is a miss. No locks: writers
// rename.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace backplane::host {

class BlobCache {
 public:
  /// An empty directory: nothing is found and nothing is kept.
  explicit BlobCache(std::filesystem::path directory) : directory_(std::move(directory)) {}
  std::optional<std::string> get(std::string_view owner, std::string_view key) const;
  bool put(std::string_view owner, std::string_view key, std::string_view data) const;

 private:
  std::filesystem::path path_of(std::string_view full_key) const;
  std::filesystem::path directory_;
};

}  // namespace backplane::host
