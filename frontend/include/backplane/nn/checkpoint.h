// SPDX-License-Identifier: Apache-2.0
// Variables in a safetensors file, by name.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "backplane/nn/module.h"

namespace backplane::nn {

using Metadata = std::map<std::string, std::string>;

/// Writes all variables of the module (running statistics included) whole or not at all. Throws FileError.
void save(const std::filesystem::path& file, Module& module, const Metadata& metadata = {});
void save(const std::filesystem::path& file, std::span<const NamedVariable> variables, const Metadata& metadata = {});

/// Reads all variables of the module and returns the file's metadata. The file must hold exactly these names with
/// these types: otherwise nothing is changed and an Error names the first variable that differs and both types.
/// Throws FileError for a file that cannot be read.
Metadata load(const std::filesystem::path& file, Module& module, Here here = {});
Metadata load(const std::filesystem::path& file, std::span<const NamedVariable> variables, Here here = {});

}  // namespace backplane::nn
