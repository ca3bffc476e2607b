// SPDX-License-Identifier: Apache-2.0
// The language of BACKPLANE_DEVICE and Registry::open. Pure: text in, terms out; terms against device descriptions.
//
//   selector = term { "," term }            the first usable term wins
//   term     = [ "!" ] what                 "!": no device that it matches is used, wherever in the list it stands
//   what     = "auto"                       every device but oracles, best first
//            | plugin [ ":" which ]         of that plugin; `which` narrows it
//            | kind                         of any plugin
//            | which
//   which    = index | kind | "id=" prefix | "pci=" address | "name=" glob      (index only after a plugin)
//   kind     = "cpu" | "gpu" | "accelerator" | "software"
//
// A plugin called like a kind (`cpu`) wins over the kind. A list of exclusions only means "auto" without them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backplane/plugin.h"

namespace backplane::host {

enum class DeviceKind { any, cpu, gpu, accelerator, software };

struct SelectorTerm {
  std::string text;        ///< as it was written, without "!"
  bool exclude = false;
  bool automatic = false;
  std::string plugin;      ///< empty: any
  bool installed = true;   ///< false: a plugin of this project that is not here
  std::optional<std::uint32_t> index;
  DeviceKind kind = DeviceKind::any;
  std::string id;          ///< prefix
  std::string pci;         ///< prefix, lower case, with its domain
  std::string name;        ///< glob

  bool can_match_plugin(std::string_view name) const { return plugin.empty() || plugin == name; }
  bool matches(std::string_view plugin, const bp_device_info& info) const;
  /// Matches each device of its plugin: nothing has to be known about them.
  bool is_whole_plugin() const;
};

struct Selector {
  std::string text;
  std::vector<SelectorTerm> picks;     ///< in order; never empty
  std::vector<SelectorTerm> excludes;
};

/// `plugins`: names of the plugin files that are here, broken ones included. Throws Error (BP_E_INVALID_ARGUMENT) for
/// bad syntax and for a name that is neither a plugin nor a kind, with the nearest that is.
Selector parse_selector(std::string_view text, const std::vector<std::string>& plugins);

/// Smaller is better: GPUs, integrated GPUs, accelerators, CPUs, others, software devices, oracles.
int device_rank(const bp_device_info& info);

/// "gpu", "integrated gpu", "software cpu", ...: for people.
std::string describe_kind(const bp_device_info& info);

}  // namespace backplane::host
