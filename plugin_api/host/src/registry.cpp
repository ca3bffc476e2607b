// SPDX-License-Identifier: Apache-2.0
#include "backplane/host/registry.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "backplane/host/environment.h"
#include "backplane/host/error.h"
#include "backplane/host/log.h"
#include "backplane/host/text.h"
#include "discovery.h"
#include "elf_preflight.h"
#include "probe.h"
#include "probe_cache.h"
#include "registry_state.h"

namespace backplane::host {
namespace {

bool read_flag(const char* name, std::vector<std::string>& warnings) {
  const auto value = environment(name);
  if (!value || *value == "0") return false;
  if (*value == "1") return true;
  warnings.push_back("[environment] " + std::string(name) + "=" + clean_text(*value, 80) +
                     " is neither 0 nor 1; 0 is used");
  return false;
}

void read_timeout(RegistryOptions& options) {
  const auto value = environment("BACKPLANE_PROBE_TIMEOUT_MS");
  if (!value) return;
  unsigned parsed = 0;
  const auto [end, error] = std::from_chars(value->data(), value->data() + value->size(), parsed);
  if (error == std::errc() && end == value->data() + value->size() && parsed >= 1 && parsed <= 600000) {
    options.probe_timeout_ms = parsed;
  } else {
    options.warnings.push_back("[environment] BACKPLANE_PROBE_TIMEOUT_MS=" + clean_text(*value, 80) +
                               " is no number from 1 to 600000; " + std::to_string(options.probe_timeout_ms) +
                               " is used");
  }
}

void read_probe_mode(RegistryOptions& options) {
  const auto value = environment("BACKPLANE_PROBE");
  if (!value || *value == "auto") return;
  if (*value == "fresh") {
    options.cached_probes = false;
  } else if (*value == "off") {
    options.probe = false;
  } else {
    options.warnings.push_back("[environment] BACKPLANE_PROBE=" + clean_text(*value, 80) +
                               " is none of auto, fresh, off; auto is used");
  }
}

}  // namespace

RegistryOptions RegistryOptions::from_environment() {
  RegistryOptions options;
  options.directories = plugin_directories(environment("BACKPLANE_PLUGIN_PATH").value_or(""), options.warnings);
  options.allow = environment("BACKPLANE_PLUGINS").value_or("");
  options.cache_directory = host::cache_directory();
  options.allow_insecure = read_flag("BACKPLANE_ALLOW_INSECURE_PLUGINS", options.warnings);
  read_timeout(options);
  read_probe_mode(options);
  return options;
}

void Registry::State::list() {
  if (std::exchange(listed, true)) return;
  std::set<std::string> seen;
  for (const Candidate& candidate : find_candidates(options.directories)) {
    PluginEntry entry;
    entry.report.name = clean_text(candidate.name, 64);
    entry.report.path = candidate.path;
    if (!is_plugin_name(candidate.name)) {
      reject(entry,
             Rejection("bad-file-name", "\"" + clean_text(candidate.name, 64) +
                                            "\" is no plugin name: a-z, 0-9, '_' and '-', at most 31 characters"));
    } else if (!is_allowed(candidate.name, options.allow)) {
      entry.examined = true;
      entry.report.state = PluginState::excluded;
      entry.report.code = "excluded";
      entry.report.reason = "BACKPLANE_PLUGINS=" + clean_text(options.allow, 200) + " leaves it out";
    }
    if (is_plugin_name(candidate.name) && seen.insert(candidate.name).second) names.push_back(candidate.name);
    entries.push_back(std::move(entry));
  }
  for (const std::string& part : split(options.allow, ',')) {
    std::string_view glob = trim(part);
    if (!glob.empty() && glob.front() == '-') glob.remove_prefix(1);
    const auto matches = [&](const std::string& name) { return glob_match(glob, name); };
    if (glob.empty() || std::any_of(names.begin(), names.end(), matches)) continue;
    const std::string guess = nearest(glob, names);
    log(BP_LOG_WARNING, "plugins",
        "BACKPLANE_PLUGINS: \"" + std::string(glob) + "\" matches no plugin" +
            (guess.empty() ? "" : "; did you mean \"" + guess + "\"?"));
  }
}

void Registry::State::reject(PluginEntry& entry, const Rejection& why) {
  PluginReport& report = entry.report;
  entry.examined = true;
  changed = true;
  report.state = why.code() == "unavailable" ? PluginState::unavailable : PluginState::rejected;
  report.code = why.code();
  report.reason = why.reason();
  report.devices.clear();
  const bool broken = report.state == PluginState::rejected && report.code != "duplicate-name";
  log(broken ? BP_LOG_WARNING : BP_LOG_INFO, "plugins",
      report.path.string() + " is not used (" + report.code + "): " + report.reason);
}

void Registry::State::accept(PluginEntry& entry, const std::vector<bp_device_info>& devices) {
  entry.examined = true;
  changed = true;
  entry.report.state = PluginState::usable;
  entry.report.code.clear();
  entry.report.reason.clear();
  entry.report.devices.clear();
  for (const bp_device_info& info : devices) {
    entry.report.devices.push_back({entry.report.name + ":" + std::to_string(info.index), entry.report.name, info});
  }
}

void Registry::State::examine(PluginEntry& entry) {
  if (entry.examined) return;
  try {
    entry.identity = check_trust(entry.report.path, options.allow_insecure);
    check_elf(entry.identity.path);
    if (options.probe) {
      probe(entry);
    } else {
      load(entry);
    }
  } catch (const Rejection& why) {
    reject(entry, why);
  }
}

void Registry::State::probe(PluginEntry& entry) {
  const ProbeCache cache(options.cache_directory);
  std::optional<ProbeResult> result;
  if (options.cached_probes) result = cache.get(entry.identity, entry.report.name);
  if (!result) {
    const ProbeRequest request{options.probe_executable, entry.identity.path, entry.report.name,
                               options.probe_timeout_ms};
    result = run_probe(request);
    if (!result) {  // no child process to be had: said there, and better than no device at all
      load(entry);
      return;
    }
    cache.put(entry.identity, entry.report.name, *result);
  }
  entry.report.version = result->version;
  entry.report.build_id = result->build_id;
  entry.report.description = result->description;
  if (!result->code.empty()) throw Rejection(result->code, result->reason);
  accept(entry, result->devices);
}

Plugin* Registry::State::load(PluginEntry& entry) {
  if (entry.plugin != nullptr) return entry.plugin.get();
  try {
    if (check_trust(entry.report.path, options.allow_insecure) != entry.identity) {
      throw Rejection("load-failed", "the file changed after it was examined; start again");
    }
    entry.plugin = load_plugin(entry.identity.path, entry.report.name, options.cache_directory);
  } catch (const Rejection& why) {
    ProbeCache(options.cache_directory).forget(entry.identity, entry.report.name);
    reject(entry, why);
    return nullptr;
  }
  entry.report.version = entry.plugin->version;
  entry.report.build_id = entry.plugin->build_id;
  entry.report.description = entry.plugin->description;
  accept(entry, entry.plugin->devices);
  return entry.plugin.get();
}

PluginEntry* Registry::State::resolve(const std::string& name) {
  list();
  PluginEntry* first = nullptr;
  PluginEntry* chosen = nullptr;
  for (PluginEntry& entry : entries) {
    if (entry.report.name != name) continue;
    if (first == nullptr) first = &entry;
    if (chosen != nullptr) {
      if (!entry.examined) reject(entry, Rejection("duplicate-name", chosen->report.path.string() + " comes first"));
      continue;
    }
    examine(entry);
    if (entry.report.state != PluginState::rejected) chosen = &entry;
  }
  return chosen != nullptr ? chosen : first;
}

void Registry::State::examine_everything() {
  list();
  for (const std::string& name : names) resolve(name);
}

Registry::Registry(RegistryOptions options) : state_(std::make_unique<State>()) {
  state_->options = std::move(options);
  for (const std::string& warning : state_->options.warnings) log(BP_LOG_WARNING, "environment", warning);
}

Registry::~Registry() = default;

Registry& Registry::instance() {
  static Registry* const registry = [] {
    auto* made = new Registry(RegistryOptions::from_environment());
    made->state_->list();
    for (const std::string& warning : unknown_environment_variables(made->state_->names)) {
      log(BP_LOG_WARNING, "environment", warning);
    }
    return made;
  }();
  return *registry;
}

const std::vector<PluginReport>& Registry::plugins() {
  const std::lock_guard lock(state_->mutex);
  state_->examine_everything();
  if (std::exchange(state_->changed, false) || state_->snapshots.empty()) {
    std::vector<PluginReport>& snapshot = state_->snapshots.emplace_back();
    for (const PluginEntry& entry : state_->entries) snapshot.push_back(entry.report);
  }
  return state_->snapshots.back();
}

std::vector<DeviceEntry> Registry::devices() {
  std::vector<DeviceEntry> all;
  for (const PluginReport& plugin : plugins()) all.insert(all.end(), plugin.devices.begin(), plugin.devices.end());
  std::sort(all.begin(), all.end(), comes_before);
  return all;
}

}  // namespace backplane::host
