// SPDX-License-Identifier: Apache-2.0
// Reading source text: just enough of the grammar of C++ to tell code, comments and string literals apart. Raw strings
// are read as ordinary ones, which is right for the questions asked here as long as they hold no comment marks.
#include "source_tree.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <regex>
#include <sstream>

namespace backplane::tests {
namespace {

constexpr std::array kCode = {".c", ".h", ".cpp", ".hpp", ".cu", ".cuh"};
constexpr std::array kSkippedFolders = {"build", "dist", "runs"};

bool skipped(const std::filesystem::path& folder) {
  const std::string name = folder.filename().string();
  if (name.starts_with('.')) return name != ".ci";
  return std::any_of(kSkippedFolders.begin(), kSkippedFolders.end(),
                     [&](const char* s) { return name.starts_with(s); });
}

std::vector<Include> includes_of(const std::string& code) {
  static const std::regex kInclude(R"re(^\s*#\s*include\s*(["<])([^">]+)[">])re");
  std::vector<Include> found;
  std::istringstream lines(code);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    std::smatch match;
    if (std::regex_search(line, match, kInclude)) found.push_back({number, match[2], match[1] == "\""});
  }
  return found;
}

}  // namespace

std::string without_comments(std::string_view text) {
  enum class In { code, line_comment, block_comment, literal } in = In::code;
  char quote = 0;
  std::string out(text);
  for (size_t i = 0; i < out.size(); ++i) {
    const char c = out[i];
    const char next = i + 1 < out.size() ? out[i + 1] : '\0';
    switch (in) {
      case In::code:
        if (c == '/' && next == '/') in = In::line_comment;
        if (c == '/' && next == '*') in = In::block_comment;
        // An apostrophe between digits separates them: 100'000.
        if (c == '"' || (c == '\'' && !(i > 0 && std::isalnum(static_cast<unsigned char>(out[i - 1]))))) {
          in = In::literal;
          quote = c;
        }
        if (in == In::line_comment || in == In::block_comment) {
          out[i] = out[i + 1] = ' ';
          ++i;
        }
        break;
      case In::line_comment:
        if (c == '\n')
          in = In::code;
        else
          out[i] = ' ';
        break;
      case In::block_comment:
        if (c == '*' && next == '/') {
          out[i] = out[i + 1] = ' ';
          ++i;
          in = In::code;
        } else if (c != '\n') {
          out[i] = ' ';
        }
        break;
      case In::literal:
        if (c == '\\')
          ++i;
        else if (c == quote || c == '\n')
          in = In::code;
        break;
    }
  }
  return out;
}

std::vector<std::string> string_literals(std::string_view code) {
  std::vector<std::string> found;
  for (size_t at = code.find('"'); at != std::string_view::npos; at = code.find('"', at)) {
    std::string literal;
    for (++at; at < code.size() && code[at] != '"' && code[at] != '\n'; ++at) literal += code[at];
    if (at < code.size()) ++at;
    found.push_back(std::move(literal));
  }
  return found;
}

std::vector<SourceFile> read_tree(const std::filesystem::path& root) {
  std::vector<SourceFile> files;
  for (auto at = std::filesystem::recursive_directory_iterator(root);
       at != std::filesystem::recursive_directory_iterator(); ++at) {
    if (at->is_directory() && skipped(at->path())) at.disable_recursion_pending();
    if (!at->is_regular_file()) continue;
    std::ifstream in(at->path(), std::ios::binary);
    SourceFile file{
        std::filesystem::relative(at->path(), root).generic_string(), {std::istreambuf_iterator<char>(in), {}}, {}, {}};
    if (file.text.find('\0') != std::string::npos) continue;  // not text
    const std::string extension = at->path().extension().string();
    if (std::find(kCode.begin(), kCode.end(), extension) != kCode.end()) {
      file.code = without_comments(file.text);
      file.includes = includes_of(file.code);
    }
    files.push_back(std::move(file));
  }
  std::sort(files.begin(), files.end(), [](const SourceFile& a, const SourceFile& b) { return a.path < b.path; });
  return files;
}

}  // namespace backplane::tests
