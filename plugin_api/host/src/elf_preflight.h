// SPDX-License-Identifier: Apache-2.0
// A first look at a plugin's ELF headers, every read bounds-checked, before the dynamic linker (which trusts its input)
// sees the file. Finds what a damaged copy or a file for another machine looks like; it is no verifier of hostile ELF:
// for that there is the child process.
#pragma once

#include <filesystem>

namespace backplane::host {

/// Throws Rejection.
void check_elf(const std::filesystem::path& path);

}  // namespace backplane::host
