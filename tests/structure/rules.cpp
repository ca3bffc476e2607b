// SPDX-License-Identifier: Apache-2.0
// The rules as tables, and the loops that apply them. A header belongs to the layer whose folder it lies in, however it
// is spelled: through an include directory, beside the file, or with "../".
#include "rules.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <regex>
#include <sstream>

namespace backplane::tests {
namespace {

struct Layer {
  std::string_view folder;
  std::string_view may_include;  // folders, separated by blanks; its own is always allowed
};

// The first row whose folder holds a file is its layer. A "*" stands for one folder name: each plugin is its own layer.
constexpr Layer kLayers[] = {
    {"plugin_api/include", ""},
    {"plugin_api/sdk", "plugin_api/include"},
    {"plugin_api/template", "plugin_api/include plugin_api/sdk"},
    {"plugin_api/host", "plugin_api/include plugin_api/sdk"},
    {"plugin_api/check", "plugin_api/include plugin_api/sdk plugin_api/host"},
    {"plugins/*", "plugin_api/include plugin_api/sdk"},
    {"autotune", "plugin_api"},
    {"graph", "autotune plugin_api"},
    {"frontend", "graph autotune plugin_api"},
    {"examples", "frontend graph autotune plugin_api"},
    {"bench", "frontend graph autotune plugin_api plugins"},
    {"tests", "frontend graph autotune plugin_api plugins bench examples"},
};

constexpr std::array<std::string_view, 22> kVendorPrefixes = {
    "CL/",         "vulkan/",   "cuda",        "cublas", "cudnn",   "nvrtc",   "nvml",    "nvToolsExt",
    "nccl",        "hip/",      "rocblas",     "dnnl",   "oneapi/", "shaderc", "glslang", "spirv",
    "level_zero/", "openvino/", "onnxruntime", "cblas",  "Metal/",  "mkl"};
constexpr std::array<std::string_view, 3> kVendorFolders = {"plugins/", "bench/", "tests/"};

struct Call {
  const char* pattern;
  const char* what;
  std::string_view allowed;  // folders, separated by blanks
};
// Cards whose driver has a loader of its own open that at run time, so that they load without it. The command asks for
// TERM and the like itself; variables of ours go through the table everywhere.
constexpr Call kCalls[] = {
    {R"(\bdl(m|v)?open\s*\()", "calls dlopen", "plugin_api/host plugins/cuda plugins/opencl plugins/vulkan tests bench"},
    {R"(#\s*include\s*[<"]boost/dll)", "includes Boost.DLL", "plugin_api/host tests"},
    {R"(\b(secure_)?getenv\s*\()", "reads the environment itself", "plugin_api/host frontend/cli tests bench"},
    {R"(\b(secure_)?getenv\s*\(\s*"BACKPLANE_)", "reads a variable past the table", "plugin_api/host tests bench"},
};

constexpr std::array kSourceExtensions = {".c",  ".h",    ".cpp",  ".hpp",   ".cu", ".cuh",
                                          ".cl", ".comp", ".glsl", ".cmake", ".sh", ".py"};

bool starts_with_any(std::string_view path, auto& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](std::string_view p) { return path.starts_with(p); });
}

bool inside(std::string_view path, std::string_view folder) {
  return path.starts_with(folder) && path.size() > folder.size() && path[folder.size()] == '/';
}

/// The layer's folder with "*" filled in, and its row; an empty folder when the file is in none.
std::pair<std::string, const Layer*> layer_of(const std::string& path) {
  for (const Layer& layer : kLayers) {
    std::string folder(layer.folder);
    if (folder.ends_with("/*")) {
      folder.pop_back();
      if (!path.starts_with(folder)) continue;
      const size_t end = path.find('/', folder.size());
      if (end == std::string::npos) continue;
      folder = path.substr(0, end);
    }
    if (inside(path, folder)) return {folder, &layer};
  }
  return {"", nullptr};
}

std::string at(const SourceFile& file, int line, const std::string& what) {
  return file.path + ":" + std::to_string(line) + ": " + what;
}

int line_of(const std::string& text, size_t position) {
  return 1 + static_cast<int>(std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(position), '\n'));
}

/// Every header of the tree: by its path, and by what follows ".../include/". Fixtures in tests are not offered to
/// others.
class Headers {
 public:
  explicit Headers(const std::vector<SourceFile>& files) {
    for (const SourceFile& file : files) {
      paths_[file.path] = &file;
      const size_t include = file.path.rfind("/include/");
      if (include != std::string::npos && !file.path.starts_with("tests/")) {
        public_[file.path.substr(include + 9)] = &file;
      }
    }
  }

  /// The file of the tree that `include` in `from` means; nullptr when it is none of ours.
  const SourceFile* find(const SourceFile& from, const Include& include) const {
    const std::string root = layer_of(from.path).first;
    if (include.quoted) {
      for (std::filesystem::path folder = std::filesystem::path(from.path).parent_path();;
           folder = folder.parent_path()) {
        const auto hit = paths_.find((folder / include.name).lexically_normal().generic_string());
        if (hit != paths_.end()) return hit->second;
        if (folder.empty() || folder.generic_string() == root) break;
      }
    }
    const auto hit = public_.find(include.name);
    return hit != public_.end() ? hit->second : nullptr;
  }

 private:
  std::map<std::string, const SourceFile*> paths_;
  std::map<std::string, const SourceFile*> public_;
};

/// `folders` are separated by blanks.
bool inside_any(const std::string& path, std::string_view folders) {
  std::istringstream each{std::string(folders)};
  for (std::string folder; each >> folder;) {
    if (inside(path, folder)) return true;
  }
  return false;
}

}  // namespace

Violations check_direction(const std::vector<SourceFile>& files) {
  const Headers headers(files);
  Violations violations;
  for (const SourceFile& file : files) {
    if (file.includes.empty()) continue;
    const auto [folder, layer] = layer_of(file.path);
    if (layer == nullptr) {
      violations.push_back(at(file, 1, "lies in no layer of the house; see kLayers"));
      continue;
    }
    for (const Include& include : file.includes) {
      const SourceFile* target = headers.find(file, include);
      if (target != nullptr && !inside(target->path, folder) && !inside_any(target->path, layer->may_include)) {
        violations.push_back(at(file, include.line, folder + " must not include " + target->path));
      }
    }
  }
  return violations;
}

Violations check_vendor_headers(const std::vector<SourceFile>& files) {
  const Headers headers(files);
  Violations violations;
  for (const SourceFile& file : files) {
    if (starts_with_any(file.path, kVendorFolders)) continue;
    for (const Include& include : file.includes) {
      if (headers.find(file, include) == nullptr && starts_with_any(include.name, kVendorPrefixes)) {
        violations.push_back(at(file, include.line, "includes the vendor header " + include.name));
      }
    }
  }
  return violations;
}

Violations check_calls(const std::vector<SourceFile>& files) {
  Violations violations;
  for (const Call& call : kCalls) {
    const std::regex pattern(call.pattern);
    for (const SourceFile& file : files) {
      std::smatch match;
      if (inside_any(file.path, call.allowed) || !std::regex_search(file.code, match, pattern)) continue;
      violations.push_back(at(file, line_of(file.code, static_cast<size_t>(match.position())), call.what));
    }
  }
  return violations;
}

Violations check_environment(const std::vector<SourceFile>& files, std::span<const std::string_view> names,
                             std::string_view table) {
  static const std::regex kName("BACKPLANE_[A-Z0-9_]*[A-Z0-9]");
  Violations violations;
  std::map<std::string, int> uses;  // of the table's names; -1 stands for the table's own row
  for (std::string_view name : names) uses[std::string(name)] = -1;
  for (const SourceFile& file : files) {
    // Tests and benchmarks have variables of their own.
    if (inside_any(file.path, "tests bench") || file.code.empty()) continue;
    for (const std::string& literal : string_literals(file.code)) {
      // A plugin asks the host for a key: "num_threads" is BACKPLANE_NUM_THREADS.
      std::string key = "BACKPLANE_" + literal;
      for (char& c : key) c = c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      if (const auto hit = uses.find(key); hit != uses.end()) ++hit->second;
      if (!std::regex_match(literal, kName)) continue;
      // What begins a name of the table may be one, or stand for all that begin so.
      const auto hit = uses.lower_bound(literal);
      if (hit == uses.end() || !hit->first.starts_with(literal)) {
        if (file.path == table) continue;  // names kept for later stand there, too, and nobody may read them yet
        violations.push_back(file.path + ": " + literal + " is not in the table of " + std::string(table));
      } else if (hit->first == literal) {
        ++hit->second;
      }
    }
  }
  for (const auto& [name, count] : uses) {
    if (count < 1) violations.push_back(std::string(table) + ": nothing reads " + name);
  }
  return violations;
}

Violations check_spdx(const std::vector<SourceFile>& files) {
  // In two pieces, or this file would have two such lines.
  const std::string line = std::string("SPDX-License-") + "Identifier: Apache-2.0";
  Violations violations;
  for (const SourceFile& file : files) {
    const std::filesystem::path path(file.path);
    const bool source =
        std::find(kSourceExtensions.begin(), kSourceExtensions.end(), path.extension()) != kSourceExtensions.end() ||
        path.filename() == "CMakeLists.txt" || file.text.starts_with("#!");
    if (!source) continue;
    const size_t first = file.text.find(line);
    if (first == std::string::npos || line_of(file.text, first) > 2) {
      violations.push_back(at(file, 1, "no SPDX line at the top"));
    } else if (file.text.find(line, first + 1) != std::string::npos) {
      violations.push_back(at(file, line_of(file.text, file.text.find(line, first + 1)), "a second SPDX line"));
    }
  }
  return violations;
}

Violations check_machine_paths(const std::vector<SourceFile>& files) {
  static const std::regex kPath(R"((^|[\s"'=(:`])/(home|root|work|Users|mnt)/[A-Za-z0-9_.-]+)");
  Violations violations;
  for (const SourceFile& file : files) {
    std::smatch match;
    if (std::regex_search(file.text, match, kPath)) {
      violations.push_back(
          at(file, line_of(file.text, static_cast<size_t>(match.position())), "a path of one machine: " + match.str()));
    }
  }
  return violations;
}

}  // namespace backplane::tests
