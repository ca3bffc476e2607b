// SPDX-License-Identifier: Apache-2.0
// Small files of a cache: bounded reads, atomic writes. Nothing here throws; a cache that cannot be used is not an
// error.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace backplane::host {

/// The whole file, unless it is missing, unreadable, no regular file, or larger than `limit` bytes.
std::optional<std::string> read_file(const std::filesystem::path& path, std::size_t limit);

/// Writes a temporary file of mode 0600 beside `path` and renames it; makes the directory (0700) first. On failure the
/// old file is untouched and nothing is left behind.
bool write_file(const std::filesystem::path& path, std::string_view data) noexcept;

}  // namespace backplane::host
