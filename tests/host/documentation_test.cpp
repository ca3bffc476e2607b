// SPDX-License-Identifier: Apache-2.0
// docs/plugins-loading.md says what the code says: its tables are compared with the ones in the code, word for word.
#include <gmock/gmock.h>

#include <set>

#include "backplane/host/environment.h"
#include "backplane/host/reasons.h"
#include "backplane/host/text.h"
#include "fixture.h"

namespace backplane::host::test {
namespace {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '|' ? std::string("\\|") : std::string(1, c);
  return out;
}

TEST(Documentation, EveryReasonIsInTheManualAndNoOther) {
  const std::string manual = read_all(fs::path(TEST_SOURCE_DIR) / "docs" / "plugins-loading.md");
  std::set<std::string> documented, known;
  bool inside = false;
  for (const std::string& line : split(manual, '\n')) {
    if (line.rfind("| code |", 0) == 0) inside = true;
    if (inside && line.empty()) inside = false;
    if (inside && line.rfind("| `", 0) == 0) documented.insert(line);
  }
  for (const ReasonCode& code : reason_codes()) {
    EXPECT_TRUE(known
                    .insert("| `" + std::string(code.code) + "` | " + std::string(code.stage) + " | " +
                            escaped(code.meaning) + " |")
                    .second)
        << code.code << " twice";
  }
  EXPECT_EQ(documented, known);
}

/// Sources of everything that may read a variable, but for the table itself.
std::string all_sources() {
  std::string sources;
  for (const char* folder : {"plugin_api", "plugins", "graph", "frontend", "autotune"}) {
    const fs::path path = fs::path(TEST_SOURCE_DIR) / folder;
    if (!fs::exists(path)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(path)) {
      const std::string extension = entry.path().extension().string();
      if (entry.path().filename() == "environment.cpp" && folder == std::string("plugin_api")) continue;
      if (extension == ".cpp" || extension == ".h" || extension == ".hpp" || extension == ".c")
        sources += read_all(entry.path());
    }
  }
  return sources;
}

/// As environment("BACKPLANE_X"), or by a plugin as bp_host.config("x").
bool is_read(const std::string& sources, std::string_view name) {
  std::string key(name.substr(std::string_view("BACKPLANE_").size()));
  for (char& c : key) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return sources.find("\"" + std::string(name) + "\"") != std::string::npos ||
         sources.find("\"" + key + "\"") != std::string::npos;
}

TEST(Documentation, EveryVariableOfTheTableIsRead) {
  const std::string sources = all_sources();
  const std::string own = read_all(fs::path(TEST_SOURCE_DIR) / "plugin_api/host/src/environment.cpp");
  for (const EnvironmentVariable& variable : environment_table()) {
    const bool here = own.find("environment(\"" + std::string(variable.name) + "\")") != std::string::npos;
    EXPECT_TRUE(here || is_read(sources, variable.name)) << variable.name << " is promised, but nothing reads it";
  }
}

}  // namespace
}  // namespace backplane::host::test
