// SPDX-License-Identifier: Apache-2.0
// The layout of plugin.h, or of an interface's header beside it, as data: every struct with sizes and offsets of its members, every enum value.
//
// Stages: read the header's text for names; write a C program that prints sizeof and offsetof of each; compile it with
// the compiler of this build, as C or as C++, and run it; compare two layouts by the growth rules of the ABI.
// The text reader knows the plain style of plugin.h (typedef struct ... name;), not C at large.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace backplane::abi {

struct Member {
  std::string name;
  uint64_t offset = 0, size = 0;
};

struct Struct {
  bool frozen = false;  // else [extensible]
  uint64_t size = 0;
  std::vector<Member> members;  // in order of declaration
};

struct Layout {
  std::map<std::string, Struct> structs;
  std::map<std::string, int64_t> values;  // BP_* constants
};

enum class Language { c11, cpp17 };

/// Throws std::runtime_error with the compiler's text when the header does not compile.
Layout layout_of(const std::string& header_path, Language language, const std::string& work_dir);

/// The recorded form: one line per struct, member and value.
std::string to_text(const Layout& layout);
Layout from_text(const std::string& text);

/// What of `recorded` a program built against it would find changed in `now`; empty when it may go on working.
/// Additions are fine only when the minor version has grown.
std::vector<std::string> breaks(const Layout& recorded, const Layout& now);

std::string read_file(const std::string& path);
void write_file(const std::string& path, const std::string& text);

}  // namespace backplane::abi
