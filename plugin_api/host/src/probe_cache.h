// SPDX-License-Identifier: Apache-2.0
// Results of earlier probes, one small file for each plugin file.
//
// A result is believed while nothing it depends on has changed: the plugin file (path, size, inode, times), the
// versions of host ABI and probe, the boot, and the files and variables that drivers are found through (see
// kDriverPaths in the .cpp). Since that list cannot be complete, results also age: "no device here" after a minute, a
// rejection after ten, a device list after a day; and opening a device asks the plugin again anyway.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "probe_report.h"
#include "trust.h"

namespace backplane::host {

class ProbeCache {
 public:
  /// An empty directory: nothing is found and nothing is kept.
  explicit ProbeCache(std::filesystem::path directory) : directory_(std::move(directory)) {}
  std::optional<ProbeResult> get(const FileIdentity& identity, const std::string& name) const;
  void put(const FileIdentity& identity, const std::string& name, const ProbeResult& result) const;
  void forget(const FileIdentity& identity, const std::string& name) const;
  /// The file that keeps the result.
  std::filesystem::path path_of(const FileIdentity& identity) const;

 private:
  std::filesystem::path directory_;
};

}  // namespace backplane::host
