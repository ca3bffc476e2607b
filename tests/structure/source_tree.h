// SPDX-License-Identifier: Apache-2.0
// The project's text files, read once, with what the rules ask about each.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace backplane::tests {

struct Include {
  int line;
  std::string name;  // as written, without brackets
  bool quoted;
};

struct SourceFile {
  std::string path;               // from the root: "graph/ops/reduce.cpp"
  std::string text;               // as it is
  std::string code;               // comments blanked; C and C++ only, else empty
  std::vector<Include> includes;  // C and C++ only
};

/// All text files under `root`, but for what is built, produced or hidden.
std::vector<SourceFile> read_tree(const std::filesystem::path& root);

/// `text` with the inside of comments turned into blanks; lines stay where they are, string literals stay whole.
std::string without_comments(std::string_view text);

/// The string literals of code without comments, unescaped as far as plain names need it.
std::vector<std::string> string_literals(std::string_view code);

}  // namespace backplane::tests
