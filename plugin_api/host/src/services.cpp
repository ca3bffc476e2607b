// SPDX-License-Identifier: Apache-2.0
// What arrives here comes from a plugin: every pointer may be NULL and every text anything. Nothing throws.
#include "services.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

#include "backplane/host/environment.h"
#include "backplane/host/error.h"
#include "backplane/host/log.h"
#include "backplane/host/text.h"

namespace backplane::host {
namespace {

constexpr std::size_t kMaxKey = 255;

/// "cuda.memory_cap_mb" -> BACKPLANE_CUDA_MEMORY_CAP_MB; empty for anything that is no key.
std::string variable_name(const char* key) {
  std::string name = "BACKPLANE_";
  for (const char* c = key; *c != '\0'; ++c) {
    const auto u = static_cast<unsigned char>(*c);
    if (static_cast<std::size_t>(c - key) >= kMaxKey) return "";
    if (std::isalnum(u) != 0) {
      name += static_cast<char>(std::toupper(u));
    } else if (*c == '.' || *c == '-' || *c == '_') {
      name += '_';
    } else {
      return "";
    }
  }
  return name;
}

bool in_table(std::string_view name) {
  const auto table = environment_table();
  return std::any_of(table.begin(), table.end(), [&](const auto& entry) { return entry.name == name; });
}

}  // namespace

Services::Services(std::string plugin, const std::filesystem::path& cache_directory)
    : plugin_(std::move(plugin)), cache_(cache_directory) {
  table_.size = sizeof table_;
  table_.abi_version = BP_ABI_VERSION;
  table_.context = this;
  table_.log = &log_line;
  table_.config = &config;
  table_.cache_get = &cache_get;
  table_.cache_put = &cache_put;
  table_.device_event = &device_event;
}

void Services::log_line(void* context, int32_t level, const char* component, const char* message) noexcept try {
  const auto* self = static_cast<Services*>(context);
  const bool named = component != nullptr && *component != '\0';
  // A plugin speaks under its own name, so that BACKPLANE_LOG=cuda:debug covers all of it.
  std::string name = self->plugin_;
  if (named && name != component && std::strncmp(component, (name + ".").c_str(), name.size() + 1) != 0) {
    name += "." + std::string(component, strnlen(component, 64));
  } else if (named) {
    name.assign(component, strnlen(component, 64));
  }
  if (message == nullptr || !log_enabled(level, name)) return;
  log(level, name, "[" + name + "] " + std::string(message, strnlen(message, 4000)));
} catch (...) {
}

bp_status Services::config(void*, const char* key, char* value, uint64_t capacity, uint64_t* length) noexcept try {
  if (key == nullptr || length == nullptr || (value == nullptr && capacity != 0)) return BP_E_INVALID_ARGUMENT;
  const std::string name = variable_name(key);
  if (*key == '\0' || name.empty()) return BP_E_INVALID_ARGUMENT;
  std::optional<std::string> found;
  if (in_table(name)) {
    found = environment(name);
  } else if (!privileged_process()) {  // a plugin's own setting may well be a path
    const char* text = std::getenv(name.c_str());
    if (text != nullptr && *text != '\0') found = text;
  }
  if (!found) return BP_E_NOT_FOUND;
  *length = found->size();
  if (capacity < found->size() + 1) return BP_INCOMPLETE;
  std::memcpy(value, found->c_str(), found->size() + 1);
  return BP_OK;
} catch (...) {
  return BP_E_OUT_OF_HOST_MEMORY;
}

bp_status Services::cache_get(void* context, const char* key, void* data, uint64_t capacity, uint64_t* length) noexcept
    try {
  if (key == nullptr || length == nullptr || (data == nullptr && capacity != 0)) return BP_E_INVALID_ARGUMENT;
  if (strnlen(key, kMaxKey + 1) > kMaxKey) return BP_E_INVALID_ARGUMENT;
  const auto* self = static_cast<Services*>(context);
  const std::optional<std::string> blob = self->cache_.get(self->plugin_, key);
  if (!blob) return BP_E_NOT_FOUND;
  *length = blob->size();
  if (capacity < blob->size()) return BP_INCOMPLETE;
  if (!blob->empty()) std::memcpy(data, blob->data(), blob->size());
  return BP_OK;
} catch (...) {
  return BP_E_OUT_OF_HOST_MEMORY;
}

bp_status Services::cache_put(void* context, const char* key, const void* data, uint64_t length) noexcept try {
  if (key == nullptr || (data == nullptr && length != 0)) return BP_E_INVALID_ARGUMENT;
  if (strnlen(key, kMaxKey + 1) > kMaxKey) return BP_E_INVALID_ARGUMENT;
  const auto* self = static_cast<Services*>(context);
  const std::string_view bytes(static_cast<const char*>(data), static_cast<std::size_t>(length));
  return self->cache_.put(self->plugin_, key, bytes) ? BP_OK : BP_E_UNAVAILABLE;
} catch (...) {
  return BP_E_OUT_OF_HOST_MEMORY;
}

void Services::device_event(void* context, uint32_t device_index, const bp_error* what) noexcept try {
  const auto* self = static_cast<Services*>(context);
  if (what == nullptr) return;
  const std::string text(what->message, strnlen(what->message, sizeof what->message));
  log(BP_LOG_WARNING, self->plugin_, "[" + self->plugin_ + ":" + std::to_string(device_index) + "] " +
                                         status_text(what->code) + (text.empty() ? "" : ": " + text));
} catch (...) {
}

}  // namespace backplane::host
