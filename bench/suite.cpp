// SPDX-License-Identifier: Apache-2.0
#include "suite.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "backplane/host/text.h"

namespace backplane::bench {

namespace {

namespace fs = std::filesystem;
constexpr const char* kSuffix = ".suite";

[[noreturn]] void fail(const std::string& where, const std::string& what) {
  throw Error("[bench] " + where + ": " + what);
}

/// share/backplane/suites beside bin/, in the build tree and installed.
fs::path suites_folder() {
  return fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "share" / "backplane" / "suites";
}

void take_pair(SuiteLine& line, const std::string& key, const std::string& value) {
  if (is_dimension(key)) line.dimensions.push_back({key, value});
  else if (key == "in") line.operands = host::split(value, ',');
  else if (key == "name") line.label = value;
  else if (key == "dtypes") line.dtypes = host::split(value, ',');
  else line.attributes.emplace_back(key, value);
}

}  // namespace

SuiteLine parse_line(const std::string& text, const std::string& where) {
  SuiteLine line;
  line.where = where;
  std::istringstream words(text);
  if (!(words >> line.op)) fail(where, "there is no op");
  for (std::string word; words >> word;) {
    const size_t equals = word.find('=');
    if (equals == 0 || equals == std::string::npos || equals + 1 == word.size())
      fail(where, "'" + word + "' is not key=value");
    const std::string key = word.substr(0, equals);
    if (std::ranges::count(line.dimensions, key, &DimensionRange::name) > 0 ||
        std::ranges::count(line.attributes, key, &std::pair<std::string, std::string>::first) > 0)
      fail(where, "'" + key + "' is said twice");
    take_pair(line, key, word.substr(equals + 1));
  }
  if (line.label.empty()) line.label = line.op;
  return line;
}

Suite parse_suite(const std::string& text, const std::string& file) {
  Suite suite;
  suite.name = fs::path(file).stem();
  std::istringstream lines(text);
  int number = 0;
  for (std::string each; std::getline(lines, each);) {
    const std::string where = fs::path(file).filename().string() + ":" + std::to_string(++number);
    const std::string content(host::trim(each.substr(0, each.find('#'))));
    if (content.empty()) continue;
    if (content.starts_with("budget ")) {
      try {
        suite.budget_s = parse_duration(std::string(host::trim(content.substr(7))));
      } catch (const Error& error) {
        fail(where, error.what());
      }
      continue;
    }
    suite.lines.push_back(parse_line(content, where));
  }
  if (suite.lines.empty()) throw Error("[bench] " + file + " has no lines");
  return suite;
}

std::vector<std::string> installed_suites() {
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(suites_folder(), none)) {
    if (entry.path().extension() == kSuffix) names.push_back(entry.path().stem());
  }
  std::ranges::sort(names);
  return names;
}

Suite read_suite(const std::string& name) {
  const bool is_path = name.find('/') != std::string::npos || name.ends_with(kSuffix);
  const fs::path path = is_path ? fs::path(name) : suites_folder() / (name + kSuffix);
  std::ifstream file(path);
  if (!file) {
    throw Error("[bench] there is no suite '" + name + "' (" + path.string() +
                "); there are: " + host::join(installed_suites(), ", "));
  }
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  return parse_suite(text, path.string());
}

std::optional<SuiteLine> overridden(const SuiteLine& line, const Overrides& overrides) {
  SuiteLine result = line;
  size_t found = 0;
  for (const DimensionRange& other : overrides.dimensions) {
    for (DimensionRange& own : result.dimensions) {
      if (own.name != other.name) continue;
      own.values = other.values;
      ++found;
    }
  }
  if (found < overrides.dimensions.size()) return std::nullopt;
  if (!overrides.dtypes.empty()) result.dtypes = overrides.dtypes;
  return result;
}

double parse_duration(const std::string& text) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  const std::string unit = end;
  const double factor = unit.empty() || unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : 0;
  if (end == text.c_str() || factor == 0 || !(number > 0))
    throw Error("'" + text + "' is no time; say it like 90s, 10m or 1h");
  return number * factor;
}

}  // namespace backplane::bench
