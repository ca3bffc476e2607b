// SPDX-License-Identifier: Apache-2.0
#include "plan_jobs.h"

#include <algorithm>
#include <map>
#include <set>

#include "backplane/host/error.h"
#include "backplane/host/registry.h"
#include "backplane/host/text.h"
#include "cli/command.h"
#include "kernel_job.h"
#include "program_job.h"

namespace backplane::bench {

namespace {

std::vector<host::DevicePtr> usable(const std::vector<OpenedDevice>& devices) {
  std::vector<host::DevicePtr> all;
  for (const OpenedDevice& each : devices) {
    if (each.device != nullptr) all.push_back(each.device);
  }
  return all;
}

/// Where a program runs; null stands for a null device that is not there.
std::vector<host::DevicePtr> devices_for(const Program& program, const std::vector<OpenedDevice>& devices) {
  if (!program.on_host) return usable(devices);
  try {
    return {null_device()};
  } catch (const host::Error&) {
    return {nullptr};
  }
}

}  // namespace

Selection select_lines(const SweepOptions& options) {
  Selection selection;
  selection.budget_s = options.budget_s;
  for (const std::string& text : options.cases) selection.lines.push_back({"case", parse_line(text, "--case")});
  if (!options.cases.empty()) return selection;
  std::vector<std::string> names = options.suites;
  if (names.empty()) names = {options.peers ? "peers" : options.ops.empty() ? "smoke" : "ops"};
  double budget = 0;
  for (const std::string& name : names) {
    const Suite suite = read_suite(name);
    budget += suite.budget_s.value_or(0);
    for (const SuiteLine& line : suite.lines) {
      const bool wanted = options.ops.empty() || std::ranges::count(options.ops, line.label) > 0 ||
                          std::ranges::count(options.ops, line.op) > 0;
      if (wanted) selection.lines.push_back({suite.name, line});
    }
  }
  if (selection.lines.empty()) {
    throw Error("[bench] " + host::join(names, ", ") + " has no line of " + host::join(options.ops, ", ") +
                "; name another suite, or give the line with --case");
  }
  if (!selection.budget_s && budget > 0) selection.budget_s = budget;
  return selection;
}

std::vector<OpenedDevice> open_devices(const std::vector<std::string>& selectors) {
  host::Registry& registry = host::Registry::instance();
  std::vector<OpenedDevice> opened;
  std::set<std::string> names;
  const auto add = [&](const host::DevicePtr& device) {
    if (names.insert(device->name()).second) opened.push_back({device, device->name(), ""});
  };
  for (const std::string& selector : selectors) {
    if (selector != "all") {
      try {
        add(registry.open(selector));
      } catch (const host::Error& error) {
        throw cli::CommandError(cli::ExitCode::device, error.what());
      }
      continue;
    }
    for (const host::DeviceEntry& entry : registry.devices()) {
      if ((entry.info.flags & BP_DEVICE_REFERENCE) != 0) continue;
      try {
        add(registry.open(entry.name));
      } catch (const host::Error& error) {
        opened.push_back({nullptr, entry.name, error.what()});
      }
    }
  }
  if (opened.empty())
    throw cli::CommandError(cli::ExitCode::device, "[bench] there is no device to measure / see backplane doctor");
  return opened;
}

std::vector<std::unique_ptr<Job>> make_jobs(const SweepOptions& options, const Selection& selection,
                                            const std::vector<OpenedDevice>& devices,
                                            const std::function<bool(const report::Row&)>& keep) {
  const Overrides overrides{options.shapes.empty() ? std::vector<DimensionRange>() : parse_ranges(options.shapes),
                            options.dtypes};
  const Wanted wanted = Wanted::parse(options.variants);
  struct Placed {
    size_t round;  // which of its line's cases it is
    std::unique_ptr<Job> job;
  };
  std::vector<Placed> placed;
  std::set<std::string> known;  // a case may be in two suites
  const auto add = [&](std::unique_ptr<Job> job, size_t round) {
    std::erase_if(job->rows(), [&](const report::Row& row) {
      return !known.insert(report::identity(row)).second || !keep(row);
    });
    if (!job->rows().empty()) placed.push_back({round, std::move(job)});
  };
  std::map<host::DevicePtr, Peers> peers;
  for (const host::DevicePtr& device : usable(devices)) {
    if (!options.peers) continue;
    peers[device] = peers_for(device, options.peer_libraries);
    for (const std::string& selector : options.peer_devices) {
      const host::DevicePtr other = host::Registry::instance().open(selector);
      if (other != device) peers[device].push_back(device_peer(other));
    }
  }
  for (const NamedLine& each : selection.lines) {
    if (const Program* program = find_program(each.line.op)) {
      for (const host::DevicePtr& device : devices_for(*program, devices)) {
        size_t round = 0;
        for (auto& job : ProgramJob::of(*program, each.line, each.suite, overrides, device))
          add(std::move(job), round++);
      }
      continue;
    }
    size_t round = 0;
    for (const Case& c : expand(each.line, overrides)) {
      for (const host::DevicePtr& device : usable(devices))
        add(std::make_unique<KernelJob>(device, c, each.suite, wanted, peers[device]), round);
      ++round;
    }
  }
  if (selection.budget_s) std::ranges::stable_sort(placed, {}, &Placed::round);
  std::vector<std::unique_ptr<Job>> jobs;
  for (Placed& each : placed) jobs.push_back(std::move(each.job));
  return jobs;
}

}  // namespace backplane::bench
