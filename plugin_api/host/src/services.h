// SPDX-License-Identifier: Apache-2.0
// The bp_host table that one plugin gets: log, settings, blob cache, device events.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "backplane/plugin.h"
#include "blob_cache.h"

namespace backplane::host {

class Services {
 public:
  Services(std::string plugin, const std::filesystem::path& cache_directory);
  Services(const Services&) = delete;
  Services& operator=(const Services&) = delete;
  const bp_host* table() const { return &table_; }

 private:
  static void log_line(void* context, int32_t level, const char* component, const char* message) noexcept;
  static bp_status config(void* context, const char* key, char* value, uint64_t capacity, uint64_t* length) noexcept;
  static bp_status cache_get(void* context, const char* key, void* data, uint64_t capacity, uint64_t* length) noexcept;
  static bp_status cache_put(void* context, const char* key, const void* data, uint64_t length) noexcept;
  static void device_event(void* context, uint32_t device_index, const bp_error* what) noexcept;

  std::string plugin_;
  BlobCache cache_;
  bp_host table_{};
};

}  // namespace backplane::host
