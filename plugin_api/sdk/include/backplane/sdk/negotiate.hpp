// SPDX-License-Identifier: Apache-2.0
// The growth rules of the ABI, written once: reading structs of an older or newer host, and the host's services.
//
// Stages: read_input completes an input struct with zeros and refuses a tail it does not know; write_output writes what
// fits into the caller's struct; Host wraps the service table, whose missing members do nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "backplane/sdk/error.hpp"

namespace backplane::sdk {

/// Copies an [extensible] input struct: what the caller lacks is zero, non-zero bytes beyond T are refused.
template <class T>
T read_input(const T* input, const char* what) {
  if (input == nullptr) throw Failure(BP_E_INVALID_ARGUMENT, std::string("[sdk] ") + what + " is NULL");
  uint32_t size = 0;
  std::memcpy(&size, input, sizeof(size));  // not input->size: fewer bytes than a whole T may be readable
  if (size < 8) {
    throw Failure(BP_E_INVALID_ARGUMENT, std::string("[sdk] ") + what + ".size is " + std::to_string(size) +
                                             "; set it to sizeof the struct");
  }
  T result{};
  std::memcpy(&result, input, std::min<size_t>(size, sizeof(T)));
  const char* bytes = reinterpret_cast<const char*>(input);
  for (size_t i = sizeof(T); i < size; ++i) {
    if (bytes[i] != 0) {
      throw Failure(BP_E_UNSUPPORTED, std::string("[sdk] ") + what + " uses a member that this plugin (ABI " +
                                          std::to_string(BP_ABI_MAJOR) + "." + std::to_string(BP_ABI_MINOR) +
                                          ") does not know; update the plugin");
    }
  }
  result.size = sizeof(T);
  return result;
}

/// Writes an [extensible] output struct: min(the caller's size, ours) bytes, the caller's own `size` is kept.
template <class T>
void write_output(T* output, const T& value, uint32_t capacity) noexcept {
  uint32_t size = 0;
  std::memcpy(&size, output, sizeof(size));
  if (size == 0) size = capacity;
  const size_t n = std::min<size_t>({size, capacity, sizeof(T)});
  if (n <= sizeof(uint32_t)) return;
  std::memcpy(reinterpret_cast<char*>(output) + sizeof(uint32_t),
              reinterpret_cast<const char*>(&value) + sizeof(uint32_t), n - sizeof(uint32_t));
}

/// Fills an array with a stride. Returns BP_INCOMPLETE when not all fit.
template <class T>
bp_status write_array(const std::vector<T>& values, T* array, uint32_t stride, uint32_t capacity, uint32_t* count) {
  if (count == nullptr) throw Failure(BP_E_INVALID_ARGUMENT, "[sdk] count is NULL");
  if (array == nullptr) capacity = 0;
  const size_t n = std::min<size_t>(capacity, values.size());
  for (size_t i = 0; i < n; ++i) {
    write_output(reinterpret_cast<T*>(reinterpret_cast<char*>(array) + i * stride), values[i], stride);
  }
  *count = static_cast<uint32_t>(values.size());
  return array != nullptr && n < values.size() ? BP_INCOMPLETE : BP_OK;
}

/// The host's services. A copy completed with zeros: services that an older host lacks do nothing.
class Host {
 public:
  Host() = default;
  explicit Host(const bp_host* host) {
    uint32_t size = 0;
    std::memcpy(&size, host, sizeof(size));
    std::memcpy(&table_, host, std::min<size_t>(size, sizeof(table_)));
  }
  uint32_t abi_version() const { return table_.abi_version; }

  void log(int32_t level, const char* component, const std::string& message) const {
    if (table_.log != nullptr) table_.log(table_.context, level, component, message.c_str());
  }
  std::optional<std::string> config(const char* key) const {
    if (table_.config == nullptr) return std::nullopt;
    std::string value(64, '\0');
    for (int attempt = 0; attempt < 3; ++attempt) {  // the value may grow between two calls
      uint64_t length = 0;
      const bp_status status = table_.config(table_.context, key, value.data(), value.size(), &length);
      if (status == BP_OK) return value.substr(0, length);
      if (status != BP_INCOMPLETE) return std::nullopt;
      value.resize(length + 1);
    }
    return std::nullopt;
  }
  std::optional<std::vector<std::byte>> cache_get(const char* key) const {
    if (table_.cache_get == nullptr) return std::nullopt;
    std::vector<std::byte> data;
    for (int attempt = 0; attempt < 3; ++attempt) {
      uint64_t length = 0;
      const bp_status status = table_.cache_get(table_.context, key, data.data(), data.size(), &length);
      if (status == BP_OK) {
        data.resize(length);
        return data;
      }
      if (status != BP_INCOMPLETE) return std::nullopt;
      data.resize(length);
    }
    return std::nullopt;
  }
  /// Whether what is put will be kept at all.
  bool has_cache() const { return table_.cache_get != nullptr && table_.cache_put != nullptr; }
  void cache_put(const char* key, const void* data, uint64_t length) const {
    if (table_.cache_put != nullptr) table_.cache_put(table_.context, key, data, length);
  }
  void device_event(uint32_t device_index, const bp_error& what) const {
    if (table_.device_event != nullptr) table_.device_event(table_.context, device_index, &what);
  }

 private:
  bp_host table_{};
};

/// Checks the host's version for the entry function. `min_minor`: the oldest host minor that the plugin can live with.
inline void check_host(const bp_host* host, uint32_t min_minor = 0) {
  if (host == nullptr) throw Failure(BP_E_INVALID_ARGUMENT, "[sdk] host is NULL");
  uint32_t head[2] = {0, 0};
  std::memcpy(head, host, sizeof(head));
  const uint32_t major = head[1] >> 16, minor = head[1] & 0xFFFFu;
  if (head[0] < sizeof(head) || major != BP_ABI_MAJOR || minor < min_minor) {
    throw Failure(BP_E_ABI, "[sdk] the host speaks ABI " + std::to_string(major) + "." + std::to_string(minor) +
                                ", this plugin needs " + std::to_string(BP_ABI_MAJOR) + "." +
                                std::to_string(min_minor) + " or a later minor; update Backplane");
  }
}

}  // namespace backplane::sdk
