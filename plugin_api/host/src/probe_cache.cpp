// SPDX-License-Identifier: Apache-2.0
#include "probe_cache.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "backplane/host/text.h"
#include "files.h"

extern char** environ;

namespace backplane::host {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxFile = std::size_t{1} << 20;

struct Lifetime {
  std::string_view code;  // "" a device list, "*" every other code
  std::int64_t seconds;
};
constexpr Lifetime kLifetimes[] = {{"", 24 * 3600}, {"unavailable", 60}, {"*", 600}};

/// Where drivers appear and change: size, time and inode of these count (a directory's change with its entries) ...
constexpr const char* kDriverPaths[] = {
    "/etc/ld.so.cache",
    "/dev/dri",
    "/dev/nvidiactl",
    "/dev/nvidia0",
    "/dev/kfd",
    "/etc/vulkan/icd.d",
    "/usr/share/vulkan/icd.d",
    "/etc/OpenCL/vendors",
    "/usr/lib/x86_64-linux-gnu/libcuda.so.1",
};
/// ... and the contents of these, whose times mean nothing ...
constexpr const char* kDriverFiles[] = {"/proc/sys/kernel/random/boot_id", "/proc/driver/nvidia/version"};
/// ... and variables that begin like this.
constexpr std::string_view kDriverVariables[] = {
    "BACKPLANE_", "CUDA_", "NVIDIA_",  "VK_",  "OCL_",  "OPENCL_", "POCL_",           "LP_",
    "LIBGL_",     "MESA_", "GALLIUM_", "HIP_", "ROCR_", "ZE_",     "LD_LIBRARY_PATH", "LD_PRELOAD",
};
/// BACKPLANE_* variables that say how plugins are found, not what they find.
constexpr std::string_view kHostVariables[] = {
    "BACKPLANE_CACHE_DIR=", "BACKPLANE_DEVICE=", "BACKPLANE_LOG=", "BACKPLANE_PLUGIN", "BACKPLANE_PROBE"};

bool begins_with(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

std::string driver_state() {
  std::string all;
  for (const char* path : kDriverPaths) {
    struct stat info {};
    if (::stat(path, &info) != 0) continue;
    const bool identity_only = !S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode);  // a device file's times mean nothing
    all += std::string(path) + "=" + std::to_string(info.st_dev) + "," + std::to_string(info.st_ino);
    if (!identity_only) {
      all += "," + std::to_string(info.st_size) + "," + std::to_string(info.st_mtim.tv_sec) + "." +
             std::to_string(info.st_mtim.tv_nsec);
    }
    all += "\n";
  }
  for (const char* path : kDriverFiles) {
    // Files of /proc have no size, so read_file would find nothing.
    if (FILE* file = std::fopen(path, "re"); file != nullptr) {
      char text[512];
      all.append(text, std::fread(text, 1, sizeof text, file));
      std::fclose(file);
    }
  }
  std::vector<std::string> variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const auto starts = [&](std::string_view prefix) { return begins_with(text, prefix); };
    if (std::any_of(std::begin(kDriverVariables), std::end(kDriverVariables), starts) &&
        std::none_of(std::begin(kHostVariables), std::end(kHostVariables), starts)) {
      variables.emplace_back(text);
    }
  }
  std::sort(variables.begin(), variables.end());
  return all + join(variables, "\n");
}

/// Everything a result depends on, in one text; compared as a whole.
std::string key_of(const FileIdentity& identity, const std::string& name) {
  std::string key = "probe " + std::to_string(kProbeVersion) + " abi " + std::to_string(BP_ABI_VERSION) + "\n";
  key += name + "\n" + identity.path.string() + "\n";
  for (const auto number : {identity.size, identity.device, identity.inode}) key += std::to_string(number) + " ";
  key += std::to_string(identity.mtime_ns) + " " + std::to_string(identity.ctime_ns) + "\n";
  const std::string state = driver_state();
  return key + "drivers " + hex(hash64(state)) + hex(hash64(state, 0x9ae16a3b2f90404fu));
}

std::int64_t now_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

bool is_fresh(const std::string& code, std::int64_t age) {
  for (const Lifetime& entry : kLifetimes) {
    if (entry.code == code || entry.code == "*") return age >= 0 && age < entry.seconds;
  }
  return false;
}

}  // namespace

std::filesystem::path ProbeCache::path_of(const FileIdentity& identity) const {
  return directory_ / ("probe-" + hex(hash64(identity.path.string())) + ".json");
}

std::optional<ProbeResult> ProbeCache::get(const FileIdentity& identity, const std::string& name) const {
  if (directory_.empty()) return std::nullopt;
  const std::optional<std::string> text = read_file(path_of(identity), kMaxFile);
  if (!text) return std::nullopt;
  try {
    const Json json = Json::parse(*text);
    if (json.at("key").get<std::string>() != key_of(identity, name)) return std::nullopt;
    const auto body = json.at("result").get<std::string>();
    if (json.at("checksum").get<std::string>() != hex(hash64(body))) return std::nullopt;
    std::optional<ProbeResult> result = probe_result_from_json(body);
    if (result && !is_fresh(result->code, now_seconds() - json.at("time").get<std::int64_t>())) return std::nullopt;
    return result;
  } catch (const std::exception&) {
    return std::nullopt;  // a damaged file is a miss, and is written anew
  }
}

void ProbeCache::put(const FileIdentity& identity, const std::string& name, const ProbeResult& result) const {
  if (directory_.empty()) return;
  const std::string body = to_json(result);
  Json json;
  json["key"] = key_of(identity, name);
  json["time"] = now_seconds();
  json["checksum"] = hex(hash64(body));
  json["result"] = body;
  // A cache that cannot be written costs time, nothing else.
  static_cast<void>(write_file(path_of(identity), json.dump(-1, ' ', false, Json::error_handler_t::replace)));
}

void ProbeCache::forget(const FileIdentity& identity, const std::string&) const {
  if (!directory_.empty()) ::unlink(path_of(identity).c_str());
}

}  // namespace backplane::host
