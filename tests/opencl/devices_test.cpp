// SPDX-License-Identifier: Apache-2.0
// What the plugin says about the machine: with its drivers, without a loader, with broken drivers beside good ones.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "backplane/plugin.h"

namespace {

namespace fs = std::filesystem;

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "backplane-opencl-XXXXXX").string();
    path = mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(path / name) << text; }
  fs::path path;
};

std::string list_devices(const std::string& environment) {
  const std::string command = "env " + environment + " '" LIST_DEVICES "' '" OPENCL_PLUGIN "' 2>&1";
  std::string text;
  FILE* pipe = popen(command.c_str(), "r");
  std::array<char, 512> part;
  while (std::fgets(part.data(), part.size(), pipe) != nullptr) text += part.data();
  EXPECT_EQ(pclose(pipe), 0) << text;
  return text;
}
bool contains(const std::string& text, const std::string& what) { return text.find(what) != std::string::npos; }

const std::string kPocl = "Portable Computing Language";

TEST(OpenClDevices, SoftwareSaysSo) {
  const std::string text = list_devices("");
  if (!contains(text, kPocl)) GTEST_SKIP() << "PoCL is not installed: " << text;
  EXPECT_TRUE(contains(text, "kind " + std::to_string(BP_KIND_CPU))) << text;
  EXPECT_TRUE(contains(text, "flags " + std::to_string(BP_DEVICE_SOFTWARE | BP_DEVICE_UNIFIED_MEMORY |
                                                       BP_DEVICE_HOST_POINTERS)))
      << text;
  EXPECT_TRUE(contains(text, "(OpenCL in software)")) << text;
  EXPECT_EQ(text, list_devices("")) << "identities are stable";
}

TEST(OpenClDevices, NoLoader) {
  const Folder folder;
  folder.write("libOpenCL.so.1", "");  // found before the system's, and no library
  const std::string text = list_devices("LD_LIBRARY_PATH=" + folder.path.string());
  EXPECT_TRUE(contains(text, "status " + std::to_string(BP_E_UNAVAILABLE))) << text;
  EXPECT_TRUE(contains(text, "no OpenCL loader (libOpenCL.so.1)")) << text;
}

TEST(OpenClDevices, NoDriver) {
  const Folder folder;
  const std::string text = list_devices("OCL_ICD_VENDORS=" + folder.path.string());
  EXPECT_TRUE(contains(text, "status " + std::to_string(BP_E_UNAVAILABLE))) << text;
  EXPECT_TRUE(contains(text, "finds no driver")) << text;
}

TEST(OpenClDevices, BrokenDriversDoNotHideOthers) {
  const std::string usual = list_devices("");
  if (!contains(usual, kPocl)) GTEST_SKIP() << "PoCL is not installed: " << usual;
  const Folder folder;
  for (const auto& file : fs::directory_iterator("/etc/OpenCL/vendors")) fs::copy(file.path(), folder.path);
  folder.write("absent.icd", "/nowhere/libabsent.so\n");
  folder.write("text.icd", (folder.path / "libtext.so").string() + "\n");
  folder.write("libtext.so", "this is no library");
  folder.write("other.icd", "libz.so.1\n");  // a library, but no driver
  const std::string text = list_devices("OCL_ICD_VENDORS=" + folder.path.string());
  EXPECT_EQ(text, usual);
}

TEST(OpenClDevices, PoclWithoutACacheDirectoryGivesTheReason) {
  if (!contains(list_devices(""), kPocl)) GTEST_SKIP() << "PoCL is not installed";
  const std::string text = list_devices("POCL_CACHE_DIR=/proc/nothing");
  EXPECT_TRUE(contains(text, "status " + std::to_string(BP_E_UNAVAILABLE))) << text;
  EXPECT_TRUE(contains(text, "POCL_CACHE_DIR")) << text;
}

}  // namespace
