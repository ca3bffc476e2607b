// SPDX-License-Identifier: Apache-2.0
// What the Registry knows: one entry for each plugin file, examined only when somebody needs to know. registry.cpp
// finds and examines, registry_open.cpp chooses and opens. All of it runs under the Registry's mutex.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backplane/host/reasons.h"
#include "backplane/host/registry.h"
#include "backplane/host/selector.h"
#include "loader.h"
#include "trust.h"

namespace backplane::host {

/// Better devices first; ties by plugin name and index, so that the order is the same everywhere.
bool comes_before(const DeviceEntry& a, const DeviceEntry& b);

struct PluginEntry {
  PluginReport report;
  bool examined = false;
  FileIdentity identity;
  std::shared_ptr<Plugin> plugin;  // once loaded
};

struct Registry::State {
  RegistryOptions options;
  std::mutex mutex;
  bool listed = false;
  std::vector<PluginEntry> entries;                 // in search order
  std::vector<std::string> names;                   // distinct and well-formed, in search order
  std::deque<std::vector<PluginReport>> snapshots;  // never shrinks: plugins() hands out references
  bool changed = true;                              // since the last snapshot
  std::map<std::string, std::weak_ptr<Device>> opened;

  /// File names only.
  void list();
  /// The entry that stands for `name`: the first file of that name that is not rejected, else the first.
  PluginEntry* resolve(const std::string& name);
  /// Trust, headers, probe (cached or in a child process). Afterwards the report is complete.
  void examine(PluginEntry& entry);
  /// Into this process; nullptr when that fails, and the report then says why.
  Plugin* load(PluginEntry& entry);
  void examine_everything();

  DevicePtr open(const Selector& selector);
  DevicePtr open_device(PluginEntry& entry, const std::string& id, std::vector<std::string>& reasons, bool& stale);

 private:
  DevicePtr open_term(const SelectorTerm& term, const Selector& selector, std::vector<std::string>& reasons);
  void probe(PluginEntry& entry);
  void reject(PluginEntry& entry, const Rejection& why);
  void accept(PluginEntry& entry, const std::vector<bp_device_info>& devices);
};

}  // namespace backplane::host
