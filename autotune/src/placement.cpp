// SPDX-License-Identifier: Apache-2.0
// From measurements of several plugins on one machine to the device that `auto` takes.
#include "backplane/autotune/placement.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "backplane/autotune/tuner.h"

namespace backplane::autotune {
namespace {

constexpr double kMargin = 1.05;

struct Sum {
  double run = 0, moved = 0;
  size_t problems = 0;
};

std::string milliseconds(double ns) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g ms", ns * 1e-6);
  return text;
}

/// Over the problems that all of `members` were measured with; members that lack one are left out by `counted`.
std::vector<Sum> sums_of(const std::vector<Member>& members, const std::vector<Placement>& rows) {
  std::vector<Sum> sums(members.size());
  for (const Placement& row : rows) {
    for (size_t i = 0; i < members.size(); ++i) {
      if (row.device.device != members[i].device.device || row.device.build != members[i].device.build) continue;
      if (!(row.run_ns > 0)) continue;
      const auto calls = static_cast<double>(std::max<uint64_t>(row.calls, 1));
      sums[i].run += calls * row.run_ns;
      sums[i].moved += calls * (row.run_ns + row.move_ns);
      ++sums[i].problems;
    }
  }
  return sums;
}

}  // namespace

std::string machine_of(const bp_device_info& info) {
  if (info.pci[0] != '\0') return std::string("pci ") + info.pci;
  if (info.kind == BP_KIND_CPU || (info.flags & BP_DEVICE_SOFTWARE) != 0) return "host processor";
  return {};
}

std::vector<host::DeviceEntry> same_machine(const std::vector<host::DeviceEntry>& devices, const std::string& device) {
  const auto asked = std::ranges::find(devices, device, &host::DeviceEntry::name);
  if (asked == devices.end()) return {};
  std::vector<host::DeviceEntry> same{*asked};
  const std::string machine = machine_of(asked->info);
  for (const host::DeviceEntry& each : devices) {
    if (machine.empty() || machine_of(each.info) != machine || (each.info.flags & BP_DEVICE_REFERENCE) != 0) continue;
    if (std::ranges::find(same, each.plugin, &host::DeviceEntry::plugin) == same.end()) same.push_back(each);
  }
  return same;
}

std::optional<Preference> prefer(const std::vector<Member>& members, const std::vector<Placement>& rows) {
  const std::vector<Sum> sums = sums_of(members, rows);
  if (sums.empty() || sums[0].problems == 0) return std::nullopt;
  size_t best = 0, compared = 1;
  std::string others;
  for (size_t i = 1; i < members.size(); ++i) {
    if (sums[i].problems != sums[0].problems) continue;  // one that does not do all of them is not preferred
    ++compared;
    const bool beats_first = kMargin * sums[i].run < sums[0].run && kMargin * sums[i].moved < sums[0].moved;
    if (beats_first && (best == 0 || sums[i].run < sums[best].run)) best = i;
  }
  if (compared < 2) return std::nullopt;
  for (size_t i = 0; i < members.size(); ++i) {
    if (i == best || sums[i].problems != sums[0].problems) continue;
    others += (others.empty() ? "" : ", ") + milliseconds(sums[i].run) + " by " + members[i].name;
  }
  return Preference{members[best].name,
                    std::to_string(sums[best].problems) + " operations measured on this machine take " +
                        milliseconds(sums[best].run) + " by " + members[best].name + ", " + others,
                    best != 0};
}

std::optional<Preference> preferred_device(host::Registry& registry, Tuning& tuning) {
  if (tuning.options().mode == Mode::off) return std::nullopt;
  const std::vector<Placement> rows = tuning.store().placements();
  if (rows.empty()) return std::nullopt;  // the usual case asks no plugin anything
  const std::vector<host::DeviceEntry> devices = registry.devices();
  if (devices.empty()) return std::nullopt;
  std::map<std::string, std::string> builds;
  for (const host::PluginReport& each : registry.plugins()) builds[each.name] = each.build_id;
  std::vector<Member> members;
  for (const host::DeviceEntry& each : same_machine(devices, devices.front().name))
    members.push_back({each.name, Fingerprint::of(each.plugin, each.info, builds[each.plugin])});
  return prefer(members, rows);
}

}  // namespace backplane::autotune
