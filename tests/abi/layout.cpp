// SPDX-License-Identifier: Apache-2.0
#include "layout.hpp"

#include <cctype>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>

namespace backplane::abi {

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.flush();
  if (!file) throw std::runtime_error("cannot write " + path);
}

namespace {

std::string without_comments(const std::string& text) {
  std::string result;
  for (size_t i = 0; i < text.size();) {
    if (text.compare(i, 2, "/*") == 0) {
      i = text.find("*/", i + 2);
      if (i == std::string::npos) break;
      i += 2;
      result += ' ';
    } else {
      result += text[i++];
    }
  }
  return result;
}

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

/// The name that a declarator declares: "(*open)(...)", "reserved[3]", "b".
std::string declared_name(const std::string& declarator) {
  const size_t function = declarator.find("(*");
  size_t end = 0;
  if (function != std::string::npos) {
    end = declarator.find(')', function);
  } else {
    end = declarator.find('[');
    if (end == std::string::npos) end = declarator.size();
  }
  while (end > 0 && !is_word(declarator[end - 1])) --end;
  size_t begin = end;
  while (begin > 0 && is_word(declarator[begin - 1])) --begin;
  return declarator.substr(begin, end - begin);
}

/// Names of the members in a struct's body, whose nested unions count as one member.
std::vector<std::string> member_names(const std::string& body) {
  std::vector<std::string> names;
  std::string declaration;
  int braces = 0, parens = 0;
  for (char c : body) {
    if (c == '{') ++braces;
    if (c == '(') ++parens;
    if (c == ')') --parens;
    if (braces == 0 && parens == 0 && (c == ',' || c == ';')) {
      if (!declared_name(declaration).empty()) names.push_back(declared_name(declaration));
      declaration.clear();
    } else if (braces == 0) {
      declaration += c;
    }
    if (c == '}') --braces;
  }
  return names;
}

struct Names {
  std::map<std::string, std::pair<bool, std::vector<std::string>>> structs;  // frozen, members
  std::set<std::string> values;
};

Names names_in(const std::string& header) {
  Names names;
  const std::string intro = "typedef struct ";
  for (size_t at = header.find(intro); at != std::string::npos; at = header.find(intro, at + 1)) {
    const size_t open = header.find_first_of("{;", at);
    if (open == std::string::npos || header[open] == ';') continue;  // an opaque type
    const std::string name = declared_name(header.substr(at, open - at));
    const size_t close = header.find("} " + name + ";", open);
    if (close == std::string::npos) throw std::runtime_error("struct " + name + " has no end");
    const std::string body = header.substr(open + 1, close - open - 1);
    const size_t frozen = body.find("[frozen]"), extensible = body.find("[extensible]");
    if ((frozen == std::string::npos) == (extensible == std::string::npos)) {
      throw std::runtime_error("struct " + name + " is neither [frozen] nor [extensible]");
    }
    names.structs[name] = {frozen != std::string::npos, member_names(without_comments(body))};
  }
  const std::string code = without_comments(header);
  for (size_t at = code.find("BP_"); at != std::string::npos; at = code.find("BP_", at + 3)) {
    size_t end = at;
    while (end < code.size() && is_word(code[end])) ++end;
    const std::string name = code.substr(at, end - at);
    while (end < code.size() && std::isspace(static_cast<unsigned char>(code[end])) != 0) ++end;
    const bool is_enumerator = end + 1 < code.size() && code[end] == '=' && code[end + 1] != '=';
    if (is_enumerator || name == "BP_ABI_MAJOR" || name == "BP_ABI_MINOR") names.values.insert(name);
  }
  return names;
}

std::string dump_program(const std::string& header_path, const Names& names) {
  std::ostringstream out;
  out << "#include \"" << header_path << "\"\n#include <stdio.h>\nint main(void) {\n";
  for (const auto& [name, body] : names.structs) {
    out << "  printf(\"struct " << name << (body.first ? " frozen" : " extensible") << " %llu\\n\", "
        << "(unsigned long long)sizeof(" << name << "));\n";
    for (const std::string& member : body.second) {
      out << "  printf(\"member " << name << " " << member << " %llu %llu\\n\", (unsigned long long)offsetof(" << name
          << ", " << member << "), (unsigned long long)sizeof(((" << name << "*)0)->" << member << "));\n";
    }
  }
  for (const std::string& value : names.values) {
    out << "  printf(\"value " << value << " %lld\\n\", (long long)" << value << ");\n";
  }
  out << "  return 0;\n}\n";
  return out.str();
}

}  // namespace

Layout layout_of(const std::string& header_path, Language language, const std::string& work_dir) {
  const bool c = language == Language::c11;
  const std::string base = work_dir + (c ? "/dump_c" : "/dump_cpp"), source = base + (c ? ".c" : ".cpp");
  write_file(source, dump_program(header_path, names_in(read_file(header_path))));
  const std::string command = std::string(c ? LAYOUT_C_COMPILER " -std=c11" : LAYOUT_CXX_COMPILER " -std=c++17") +
                              " -w -I '" ABI_INCLUDE_DIR "' '" + source + "' -o '" + base + "' > '" + base + ".log' 2>&1 && '" + base +
                              "' > '" + base + ".txt'";
  if (std::system(command.c_str()) != 0) throw std::runtime_error("does not compile: " + read_file(base + ".log"));
  return from_text(read_file(base + ".txt"));
}

std::string to_text(const Layout& layout) {
  std::ostringstream out;
  for (const auto& [name, s] : layout.structs) {
    out << "struct " << name << (s.frozen ? " frozen " : " extensible ") << s.size << "\n";
    for (const Member& m : s.members) out << "member " << name << " " << m.name << " " << m.offset << " " << m.size << "\n";
  }
  for (const auto& [name, value] : layout.values) out << "value " << name << " " << value << "\n";
  return out.str();
}

Layout from_text(const std::string& text) {
  Layout layout;
  std::istringstream in(text);
  std::string line;
  while (std::getline(in, line)) {
    std::istringstream words(line);
    std::string what, name, rest;
    words >> what >> name;
    if (what == "struct") {
      words >> rest >> layout.structs[name].size;
      layout.structs[name].frozen = rest == "frozen";
    } else if (what == "member") {
      Member member;
      words >> member.name >> member.offset >> member.size;
      layout.structs[name].members.push_back(member);
    } else if (what == "value") {
      words >> layout.values[name];
    } else if (!what.empty() && what[0] != '#') {
      throw std::runtime_error("not a layout line: " + line);
    }
    if (words.fail()) throw std::runtime_error("not a layout line: " + line);
  }
  return layout;
}

namespace {

void compare_struct(const std::string& name, const Struct& before, const Struct& now, bool may_grow,
                    const std::string& remedy, std::vector<std::string>& broken) {
  if (now.frozen != before.frozen) broken.push_back(name + " changed between [frozen] and [extensible]");
  std::map<std::string, Member> members;
  for (const Member& m : now.members) members[m.name] = m;
  for (const Member& m : before.members) {
    const auto found = members.find(m.name);
    if (found == members.end()) {
      broken.push_back(name + "." + m.name + " is gone");
      continue;
    }
    if (found->second.offset != m.offset) broken.push_back(name + "." + m.name + " has moved");
    if (found->second.size != m.size) broken.push_back(name + "." + m.name + " has another size");
    members.erase(found);
  }
  for (const auto& [added, m] : members) {
    if (before.frozen) broken.push_back(name + " is frozen and has a new member " + added);
    else if (m.offset < before.size) broken.push_back(name + "." + added + " was inserted, not appended");
    else if (!may_grow) broken.push_back(name + "." + added + remedy);
  }
  if (members.empty() && now.size != before.size) broken.push_back(name + " has another size");
}

}  // namespace

std::vector<std::string> breaks(const Layout& recorded, const Layout& now) {
  std::vector<std::string> broken;
  const auto minor = [](const Layout& layout) {
    const auto found = layout.values.find("BP_ABI_MINOR");
    return found == layout.values.end() ? -1 : found->second;
  };
  const bool may_grow = minor(now) > minor(recorded);
  // An interface beside plugin.h has no number of its own to raise.
  const std::string remedy = minor(recorded) >= 0 ? " is new: raise BP_ABI_MINOR" : " is new: record another version";
  for (const auto& [name, before] : recorded.structs) {
    const auto found = now.structs.find(name);
    if (found == now.structs.end()) broken.push_back(name + " is gone");
    else compare_struct(name, before, found->second, may_grow, remedy, broken);
  }
  for (const auto& [name, value] : recorded.values) {
    const auto found = now.values.find(name);
    if (found == now.values.end()) broken.push_back(name + " is gone");
    else if (found->second != value && name != "BP_ABI_MINOR") broken.push_back(name + " has another value");
  }
  for (const auto& [name, s] : now.structs) {
    if (!may_grow && recorded.structs.count(name) == 0) broken.push_back(name + remedy);
  }
  for (const auto& [name, value] : now.values) {
    if (!may_grow && recorded.values.count(name) == 0) broken.push_back(name + remedy);
  }
  return broken;
}

}  // namespace backplane::abi
