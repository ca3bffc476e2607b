// SPDX-License-Identifier: Apache-2.0
// Where plugins may lie, and which files there call themselves one. Looks at names only; opens no file.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace backplane::host {

struct Candidate {
  std::string name;  ///< "cuda" of libbackplane_cuda.so
  std::filesystem::path path;
};

/// Directory of the shared library or executable that holds this code, symbolic links resolved.
std::filesystem::path own_directory();

/// `extra` (BACKPLANE_PLUGIN_PATH), then the directories beside own_directory(). Relative entries of `extra` are
/// dropped, with a warning in `warnings`: they would depend on the current directory.
std::vector<std::filesystem::path> plugin_directories(std::string_view extra, std::vector<std::string>& warnings);

/// Every libbackplane_*.so of the directories, in their order and by name within one. A directory met twice counts
/// once.
std::vector<Candidate> find_candidates(const std::vector<std::filesystem::path>& directories);

/// a-z, 0-9, '_', '-', 1 ... 31 characters: what a plugin may be called.
bool is_plugin_name(std::string_view name);

/// BACKPLANE_PLUGINS: "" or globs separated by commas, "-glob" denies. Allowed when no deny matches, and an allow
/// matches or there is none.
bool is_allowed(std::string_view name, std::string_view list);

}  // namespace backplane::host
