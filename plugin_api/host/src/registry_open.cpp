// SPDX-License-Identifier: Apache-2.0
// From a selector to an opened device. For each term: examine the plugins that can match, sort their matching devices,
// open the first that can be opened. Every refusal leaves a sentence, and they make up the error when nothing is left.
#include <algorithm>
#include <tuple>
#include <utility>

#include "backplane/host/environment.h"
#include "backplane/host/error.h"
#include "backplane/host/log.h"
#include "backplane/host/text.h"
#include "registry_state.h"

namespace backplane::host {
namespace {

std::string describe(const DeviceEntry& device) {
  return device.name + " (" + device.info.name + ", " + describe_kind(device.info) + ")";
}

bool is_excluded(const Selector& selector, const DeviceEntry& device) {
  return std::any_of(selector.excludes.begin(), selector.excludes.end(),
                     [&](const SelectorTerm& term) { return term.matches(device.plugin, device.info); });
}

bool is_excluded_plugin(const Selector& selector, const std::string& plugin) {
  return std::any_of(selector.excludes.begin(), selector.excludes.end(),
                     [&](const SelectorTerm& term) { return term.is_whole_plugin() && term.plugin == plugin; });
}

/// Why a plugin that could have matched gives nothing.
std::string why_not(const PluginReport& report) {
  switch (report.state) {
    case PluginState::usable: {
      std::vector<std::string> devices;
      for (const DeviceEntry& device : report.devices) devices.push_back(describe(device));
      return "plugin " + report.name + " has no such device; it has " + join(devices, ", ");
    }
    case PluginState::unavailable: return "plugin " + report.name + " has no device here: " + report.reason;
    case PluginState::excluded: return "plugin " + report.name + " is left out: " + report.reason;
    case PluginState::rejected: break;
  }
  return "plugin " + report.name + " cannot be used (" + report.code + "): " + report.reason;
}

/// What a term gave no device for, in one paragraph of the error.
std::string explain(const std::vector<PluginEntry>& entries, const RegistryOptions& options, const Selector& selector,
                    const std::vector<std::string>& reasons) {
  std::string text = "[device selector] \"" + clean_text(selector.text, 400) + "\": no device can be used";
  for (const std::string& reason : reasons) text += "\n  " + reason;
  std::vector<std::string> devices, others;
  for (const PluginEntry& entry : entries) {
    for (const DeviceEntry& device : entry.report.devices) devices.push_back(describe(device));
    if (!entry.examined) others.push_back(entry.report.name);
  }
  if (!devices.empty()) text += "\n  devices here: " + join(devices, ", ");
  if (!others.empty()) text += "\n  other plugins here: " + join(others, ", ");
  if (entries.empty()) {
    std::vector<std::string> directories;
    for (const auto& directory : options.directories) directories.push_back(directory.string());
    text += "\n  no plugin is installed; looked for libbackplane_*.so in " + join(directories, ", ") +
            "; BACKPLANE_PLUGIN_PATH adds directories";
  }
  return text + "\n  `backplane devices` lists everything; BACKPLANE_DEVICE=auto takes the best one";
}

struct Choice {
  PluginEntry* entry;
  DeviceEntry device;
};

}  // namespace

bool comes_before(const DeviceEntry& a, const DeviceEntry& b) {
  const auto key = [](const DeviceEntry& d) {
    return std::tuple(device_rank(d.info), std::string_view(d.plugin), d.info.index);
  };
  return key(a) < key(b);
}

DevicePtr Registry::State::open_device(PluginEntry& entry, const std::string& id, std::vector<std::string>& reasons,
                                       bool& stale) {
  Plugin* plugin = load(entry);
  if (plugin == nullptr) {
    reasons.push_back(why_not(entry.report));
    return nullptr;
  }
  const auto same = [&](const DeviceEntry& device) { return device.info.id == id; };
  const auto device = std::find_if(entry.report.devices.begin(), entry.report.devices.end(), same);
  if (device == entry.report.devices.end()) {
    stale = true;  // the cached list is older than the machine's present state; load() has just renewed it
    return nullptr;
  }
  std::weak_ptr<Device>& slot = opened[device->name];
  if (DevicePtr known = slot.lock()) return known;
  try {
    auto made = std::make_shared<Device>(entry.plugin, device->info, device->name);
    slot = made;
    return made;
  } catch (const Error& error) {
    reasons.push_back(device->name + " cannot be opened: " + error.what());
    log(BP_LOG_WARNING, "plugins", reasons.back());
    return nullptr;
  }
}

DevicePtr Registry::State::open_term(const SelectorTerm& term, const Selector& selector,
                                     std::vector<std::string>& reasons) {
  if (!term.installed) {
    reasons.push_back(term.text + ": plugin " + term.plugin + " is not installed");
    return nullptr;
  }
  std::vector<Choice> choices;
  std::vector<std::string> misses;
  for (const std::string& name : names) {
    if (!term.can_match_plugin(name)) continue;
    if (is_excluded_plugin(selector, name)) {
      misses.push_back("plugin " + name + " is excluded by \"!" + name + "\"");
      continue;
    }
    PluginEntry& entry = *resolve(name);
    const std::size_t before = choices.size();
    bool excluded = false;
    for (const DeviceEntry& device : entry.report.devices) {
      if (!term.matches(name, device.info)) continue;
      if (is_excluded(selector, device)) {
        misses.push_back(device.name + " is excluded");
        excluded = true;
      } else {
        choices.push_back({&entry, device});
      }
    }
    if (choices.size() != before || excluded) continue;
    // When the term names no plugin, healthy ones without such a device need no sentence each.
    if (!term.plugin.empty() || entry.report.state != PluginState::usable) misses.push_back(why_not(entry.report));
  }
  if (choices.empty() && term.plugin.empty() && !names.empty()) {
    misses.insert(misses.begin(), "no device here is like that");
  }
  std::sort(choices.begin(), choices.end(),
            [](const Choice& a, const Choice& b) { return comes_before(a.device, b.device); });
  bool stale = false;
  for (const Choice& choice : choices) {
    std::vector<std::string> failures;
    if (DevicePtr device = open_device(*choice.entry, choice.device.info.id, failures, stale)) {
      const bool asked =
          !term.plugin.empty() || term.kind == DeviceKind::software || !term.id.empty() || !term.name.empty();
      if (device->has(BP_DEVICE_SOFTWARE) && !asked) {
        log(BP_LOG_WARNING, "device selector",
            "\"" + selector.text + "\" found nothing better than " + describe(choice.device) +
                ", which emulates a device on the CPU");
      }
      return device;
    }
    for (std::string& failure : failures) misses.push_back(std::move(failure));
  }
  if (stale) return open_term(term, selector, reasons);  // once: every plugin that was stale is loaded now
  if (misses.empty()) misses.push_back("no plugin is installed");
  for (const std::string& miss : misses) reasons.push_back(term.text + ": " + miss);
  return nullptr;
}

DevicePtr Registry::State::open(const Selector& selector) {
  std::vector<std::string> reasons;
  for (const SelectorTerm& term : selector.picks) {
    if (DevicePtr device = open_term(term, selector, reasons)) {
      for (const std::string& reason : reasons) log(BP_LOG_INFO, "device selector", reason);
      log(BP_LOG_INFO, "device selector", "\"" + selector.text + "\" is " + device->name());
      return device;
    }
  }
  throw Error(BP_E_UNAVAILABLE, explain(entries, options, selector, reasons));
}

DevicePtr Registry::open(std::string_view selector) {
  const std::lock_guard lock(state_->mutex);
  state_->list();
  return state_->open(parse_selector(trim(selector), state_->names));
}

DevicePtr Registry::open_default() { return open(environment("BACKPLANE_DEVICE").value_or("auto")); }

DevicePtr Registry::reference() {
  const std::lock_guard lock(state_->mutex);
  state_->list();
  // The usual file name first, so that nothing else has to be examined.
  std::vector<std::string> order = state_->names;
  std::stable_partition(order.begin(), order.end(), [](const std::string& name) { return name == "reference"; });
  std::vector<std::string> reasons;
  for (const std::string& name : order) {
    PluginEntry& entry = *state_->resolve(name);
    if (entry.report.state != PluginState::usable && name == "reference") reasons.push_back(why_not(entry.report));
    for (const DeviceEntry& device : std::vector<DeviceEntry>(entry.report.devices)) {
      if ((device.info.flags & BP_DEVICE_REFERENCE) == 0) continue;
      bool stale = false;
      if (DevicePtr opened = state_->open_device(entry, device.info.id, reasons, stale)) return opened;
    }
  }
  throw Error(BP_E_UNAVAILABLE,
              "[reference device] none of the plugins here is an oracle; install libbackplane_reference.so" +
                  (reasons.empty() ? std::string() : "\n  " + join(reasons, "\n  ")));
}

}  // namespace backplane::host
