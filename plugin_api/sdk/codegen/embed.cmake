# SPDX-License-Identifier: Apache-2.0
# cmake -DOUTPUT=file -DFOLDER=kernels -DSOURCES=src -P embed.cmake: the kernel texts as a C++ table, and a hash of everything that
# shapes a text.
file(GLOB texts ${FOLDER}/*.kernel)
list(SORT texts)
set(rows "")
set(everything "")
foreach(file ${texts})
  get_filename_component(name ${file} NAME_WE)
  file(READ ${file} text)
  string(APPEND everything "${text}")
  string(APPEND rows "    {\"${name}\", R\"kernel(${text})kernel\"},\n")
endforeach()
file(GLOB sources ${SOURCES}/*.cpp ${SOURCES}/*.h)
list(SORT sources)
foreach(file ${sources})
  file(SHA256 ${file} hash)
  string(APPEND everything "${hash}")
endforeach()
string(SHA256 hash "${everything}")
string(SUBSTRING "${hash}" 0 16 hash)
file(WRITE ${OUTPUT} "// Generated from plugin_api/sdk/codegen/kernels.
#include \"backplane/codegen/codegen.h\"
#include \"source.h\"

namespace backplane::codegen {
namespace {
struct Text {
  std::string_view name, text;
};
constexpr Text kTexts[] = {
${rows}};
}  // namespace

std::string_view kernel_text(std::string_view name) {
  for (const Text& entry : kTexts) {
    if (entry.name == name) return entry.text;
  }
  return {};
}

const char* build_id() { return \"${hash}\"; }

}  // namespace backplane::codegen
")
