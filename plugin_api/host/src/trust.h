// SPDX-License-Identifier: Apache-2.0
// May this file be loaded at all? Ownership and permissions of the file that symbolic links lead to, of its directory
// and of the link's. Does not look at directories further up, and does not verify signatures.
#pragma once

#include <cstdint>
#include <filesystem>

namespace backplane::host {

/// What a file was when it was examined; a file that has changed since is another file.
struct FileIdentity {
  std::filesystem::path path;  ///< absolute, symbolic links resolved
  std::uint64_t size = 0;
  std::uint64_t device = 0, inode = 0;
  std::int64_t mtime_ns = 0, ctime_ns = 0;
  bool operator==(const FileIdentity&) const = default;
};

/// Throws Rejection. With `allow_insecure` only owner and permissions are not checked.
FileIdentity check_trust(const std::filesystem::path& path, bool allow_insecure);

}  // namespace backplane::host
