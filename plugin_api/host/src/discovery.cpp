// SPDX-License-Identifier: Apache-2.0
#include "discovery.h"

#include <dlfcn.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>
#include <system_error>
#include <utility>

#include "backplane/host/text.h"

namespace backplane::host {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "libbackplane_";
constexpr std::string_view kSuffix = ".so";
constexpr std::size_t kMaxNameLength = 31;
constexpr std::size_t kMaxEntries = 10000;  // a directory with more is no plugin directory

bool name_of(const std::string& file, std::string& name) {
  if (file.size() < kPrefix.size() + kSuffix.size() || file.compare(0, kPrefix.size(), kPrefix) != 0) return false;
  if (file.compare(file.size() - kSuffix.size(), kSuffix.size(), kSuffix) != 0) return false;
  name = file.substr(kPrefix.size(), file.size() - kPrefix.size() - kSuffix.size());
  return true;
}

}  // namespace

fs::path own_directory() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&own_directory), &info) == 0 || info.dli_fname == nullptr) return {};
  // For the executable itself glibc gives argv[0], which need not be a path at all.
  std::error_code error;
  fs::path file = fs::canonical(info.dli_fname, error);
  const bool is_library = !error && std::string_view(info.dli_fname).find('/') != std::string_view::npos &&
                          file.filename().string().find(".so") != std::string::npos;
  if (!is_library) file = fs::canonical("/proc/self/exe", error);
  return error ? fs::path() : file.parent_path();
}

std::vector<fs::path> plugin_directories(std::string_view extra, std::vector<std::string>& warnings) {
  std::vector<fs::path> directories;
  for (const std::string& entry : extra.empty() ? std::vector<std::string>() : split(extra, ':')) {
    if (entry.empty()) continue;
    if (entry.front() == '/') {
      directories.emplace_back(entry);
    } else {
      warnings.push_back("[plugins] BACKPLANE_PLUGIN_PATH: \"" + clean_text(entry) +
                         "\" is ignored, because it is not an absolute path");
    }
  }
  const fs::path own = own_directory();
  if (!own.empty()) {
    directories.push_back(own / "backplane" / "plugins");                         // beside libbackplane.so
    directories.push_back(own.parent_path() / "lib" / "backplane" / "plugins");   // from bin/
  }
  return directories;
}

std::vector<Candidate> find_candidates(const std::vector<fs::path>& directories) {
  std::vector<Candidate> found;
  std::set<std::pair<dev_t, ino_t>> seen;
  for (const fs::path& directory : directories) {
    struct stat info {};
    if (!directory.is_absolute() || ::stat(directory.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) continue;
    if (!seen.emplace(info.st_dev, info.st_ino).second) continue;
    std::vector<Candidate> here;
    std::error_code error;
    std::size_t entries = 0;
    for (fs::directory_iterator it(directory, error), end; !error && it != end && entries < kMaxEntries;
         it.increment(error), ++entries) {
      std::string name;
      if (name_of(it->path().filename().string(), name)) here.push_back({name, it->path()});
    }
    std::sort(here.begin(), here.end(), [](const Candidate& a, const Candidate& b) { return a.name < b.name; });
    found.insert(found.end(), here.begin(), here.end());
  }
  return found;
}

bool is_plugin_name(std::string_view name) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= kMaxNameLength && std::all_of(name.begin(), name.end(), good);
}

bool is_allowed(std::string_view name, std::string_view list) {
  bool any_allow = false, allowed = false;
  for (const std::string& part : split(list, ',')) {
    std::string_view glob = trim(part);
    if (glob.empty()) continue;
    if (glob.front() == '-') {
      if (glob_match(glob.substr(1), name)) return false;
      continue;
    }
    any_allow = true;
    allowed = allowed || glob_match(glob, name);
  }
  return allowed || !any_allow;
}

}  // namespace backplane::host
