// SPDX-License-Identifier: Apache-2.0
// The rules hold for this tree; and each rule, shown a tree with one planted fault, finds exactly that.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backplane/host/environment.h"
#include "rules.h"
#include "source_tree.h"

namespace backplane::tests {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view kTable = "plugin_api/host/src/environment.cpp";

const std::vector<SourceFile>& tree() {
  static const std::vector<SourceFile> files = read_tree(BACKPLANE_TREE);
  return files;
}

std::vector<std::string_view> environment_names() {
  std::vector<std::string_view> names;
  for (const auto& variable : host::environment_table()) names.push_back(variable.name);
  return names;
}

TEST(ThisTree, IsReadAtAll) {
  EXPECT_GT(tree().size(), 100u);
  size_t includes = 0;
  for (const SourceFile& file : tree()) includes += file.includes.size();
  EXPECT_GT(includes, 500u);
}
TEST(ThisTree, IncludesPointDown) { EXPECT_THAT(check_direction(tree()), IsEmpty()); }
TEST(ThisTree, VendorHeadersStayInPlugins) { EXPECT_THAT(check_vendor_headers(tree()), IsEmpty()); }
TEST(ThisTree, OnlyTheHostLoadsLibrariesAndReadsTheEnvironment) { EXPECT_THAT(check_calls(tree()), IsEmpty()); }
TEST(ThisTree, EnvironmentVariablesAreInTheTable) {
  EXPECT_THAT(check_environment(tree(), environment_names(), kTable), IsEmpty());
}
TEST(ThisTree, HasAnSpdxLineInEverySourceFile) { EXPECT_THAT(check_spdx(tree()), IsEmpty()); }
TEST(ThisTree, NamesNoPathOfOneMachine) { EXPECT_THAT(check_machine_paths(tree()), IsEmpty()); }

/// A file as read_tree would give it.
SourceFile planted(std::string path, std::string text) {
  SourceFile file{std::move(path), std::move(text), {}, {}};
  file.code = without_comments(file.text);
  std::string line;
  int number = 1;
  for (size_t at = 0; (at = file.code.find("#include ", at)) != std::string::npos; ++number) {
    const size_t end = file.code.find_first_of("\">", at + 10);
    file.includes.push_back({number, file.code.substr(at + 10, end - at - 10), file.code[at + 9] == '"'});
    at = end;
  }
  return file;
}

std::vector<SourceFile> house() {
  return {
      planted("plugin_api/include/backplane/plugin.h", ""),
      planted("plugin_api/sdk/include/backplane/sdk/walk.h", "#include \"backplane/plugin.h\"\n"),
      planted("plugin_api/host/include/backplane/host/device.h", "#include \"backplane/plugin.h\"\n"),
      planted("plugin_api/host/src/files.h", ""),
      planted("graph/include/backplane/graph/graph.h", "#include \"backplane/host/device.h\"\n"),
      planted("graph/ops/common.h", ""),
      planted("graph/src/graph.cpp", "#include \"backplane/graph/graph.h\"\n#include \"ops/common.h\"\n"),
      planted("frontend/include/backplane/tensor.h", "#include \"backplane/graph/graph.h\"\n"),
      planted("plugins/cpu/threads.h", ""),
      planted("plugins/cpu/cpu.cpp", "#include \"threads.h\"\n#include <backplane/sdk/walk.h>\n#include <dnnl.hpp>\n")};
}

std::vector<SourceFile> house_with(std::string path, std::string text) {
  auto files = house();
  files.push_back(planted(std::move(path), std::move(text)));
  return files;
}

TEST(PlantedFault, TheHouseItselfHasNone) {
  EXPECT_THAT(check_direction(house()), IsEmpty());
  EXPECT_THAT(check_vendor_headers(house()), IsEmpty());
  EXPECT_THAT(check_calls(house()), IsEmpty());
}

TEST(PlantedFault, IncludesThatPointUp) {
  const struct {
    const char* path;
    const char* text;
  } faults[] = {
      {"plugins/gpu/a.cpp", "#include \"backplane/host/device.h\"\n"},
      {"plugins/gpu/a.cpp", "#include \"backplane/graph/graph.h\"\n"},
      {"plugins/gpu/a.cpp", "#include <backplane/tensor.h>\n"},
      {"plugins/gpu/a.cpp", "#include \"../cpu/threads.h\"\n"},
      {"plugins/gpu/a.cpp", "#include \"../../graph/ops/common.h\"\n"},
      {"graph/passes/a.cpp", "#include \"backplane/tensor.h\"\n"},
      {"graph/passes/a.cpp", "#include \"../../plugins/cpu/threads.h\"\n"},
      {"autotune/a.cpp", "#include \"backplane/graph/graph.h\"\n"},
      {"plugin_api/host/src/a.cpp", "#include \"backplane/graph/graph.h\"\n"},
      {"plugin_api/sdk/include/backplane/sdk/a.h", "#include \"backplane/host/device.h\"\n"},
      {"plugin_api/template/toy.cpp", "#include \"backplane/host/device.h\"\n"},
      {"attic/a.cpp", "#include \"backplane/plugin.h\"\n"},
  };
  for (const auto& fault : faults) {
    EXPECT_THAT(check_direction(house_with(fault.path, fault.text)), ElementsAre(HasSubstr(fault.path))) << fault.text;
  }
}

TEST(PlantedFault, VendorHeadersAndCalls) {
  for (const char* header :
       {"<CL/cl.h>", "<vulkan/vulkan.h>", "<cuda_runtime.h>", "\"dnnl.hpp\"", "<oneapi/dnnl/dnnl.hpp>"}) {
    EXPECT_THAT(check_vendor_headers(house_with("graph/a.cpp", std::string("#include ") + header + "\n")),
                ElementsAre(HasSubstr("graph/a.cpp:1")));
  }
  EXPECT_THAT(check_calls(house_with("frontend/a.cpp", "\nvoid* f() { return dlopen (\"x\", 2); }\n")),
              ElementsAre("frontend/a.cpp:2: calls dlopen"));
  EXPECT_THAT(check_calls(house_with("frontend/a.cpp", "#include <boost/dll/shared_library.hpp>\n")),
              ElementsAre("frontend/a.cpp:1: includes Boost.DLL"));
  EXPECT_THAT(check_calls(house_with("plugins/cpu/a.cpp", "auto x = std::getenv(\"HOME\");\n")),
              ElementsAre("plugins/cpu/a.cpp:1: reads the environment itself"));
  EXPECT_THAT(check_calls(house_with("frontend/cli/a.cpp", "auto x = std::getenv(\"TERM\");\n")), IsEmpty());
  EXPECT_THAT(check_calls(house_with("frontend/cli/a.cpp", "auto x = std::getenv(\"BACKPLANE_DEVICE\");\n")),
              ElementsAre("frontend/cli/a.cpp:1: reads a variable past the table"));
  EXPECT_THAT(check_calls(house_with("frontend/a.cpp", "// never dlopen(x)\n/* getenv(\"x\") */\n")), IsEmpty());
}

TEST(PlantedFault, EnvironmentVariables) {
  const std::string_view names[] = {"BACKPLANE_DEVICE", "BACKPLANE_CPU_THREADS"};
  const auto check = [&](const char* text) {
    return check_environment(
        {planted("graph/a.cpp", text), planted(std::string(kTable), "\"BACKPLANE_DEVICE\" \"BACKPLANE_CPU_THREADS\"")},
        names, kTable);
  };
  EXPECT_THAT(check("f(\"BACKPLANE_DEVICE\"); config(\"cpu.threads\");"), IsEmpty());
  EXPECT_THAT(check("f(\"BACKPLANE_DEVICE\"); config(\"cpu.threads\"); f(\"BACKPLANE_SECRET\");"),
              ElementsAre(HasSubstr("BACKPLANE_SECRET is not in the table")));
  EXPECT_THAT(check("f(\"BACKPLANE_DEVICE\");"), ElementsAre(HasSubstr("nothing reads BACKPLANE_CPU_THREADS")));
  EXPECT_THAT(check("// \"BACKPLANE_DEVICE\"\nconfig(\"cpu.threads\");"),
              ElementsAre(HasSubstr("nothing reads BACKPLANE_DEVICE")));
}

TEST(PlantedFault, SpdxLinesAndPaths) {
  const std::string spdx = std::string("// SPDX-License-") + "Identifier: Apache-2.0\n";
  EXPECT_THAT(check_spdx({planted("a.cpp", spdx), planted("b", "#!/bin/sh\n" + spdx), planted("c.md", "text")}),
              IsEmpty());
  EXPECT_THAT(check_spdx({planted("a.cpp", "int x;\n")}), ElementsAre(HasSubstr("a.cpp")));
  EXPECT_THAT(check_spdx({planted("CMakeLists.txt", "")}), ElementsAre(HasSubstr("CMakeLists.txt")));
  EXPECT_THAT(check_spdx({planted("a", "#!/bin/sh\necho\n")}), ElementsAre(HasSubstr("a:1")));
  EXPECT_THAT(check_spdx({planted("a.cpp", "int x;\nint y;\n" + spdx)}), ElementsAre(HasSubstr("no SPDX")));
  EXPECT_THAT(check_spdx({planted("a.cpp", spdx + spdx)}), ElementsAre(HasSubstr("second")));
  EXPECT_THAT(check_machine_paths({planted("a.md", std::string("see /") + "home/jane/notes")}),
              ElementsAre(HasSubstr("jane")));
  EXPECT_THAT(check_machine_paths({planted("a.md", "see /usr/share/datasets")}), IsEmpty());
}

}  // namespace
}  // namespace backplane::tests
