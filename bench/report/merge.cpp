// SPDX-License-Identifier: Apache-2.0
#include "report/merge.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "report/statistics.h"

namespace backplane::bench::report {

namespace {

bool is_better(const Row& row, const Row& than) {
  const auto rank = [](const Row& r) { return r.status != Status::measured ? 0 : r.quiet ? 2 : 1; };
  return rank(row) > rank(than);
}

void add_repetition(Row& into, const Row& row, bool is_second) {
  if (is_second) into.stretches = {static_cast<int64_t>(into.samples_ns.size())};
  into.samples_ns.insert(into.samples_ns.end(), row.samples_ns.begin(), row.samples_ns.end());
  into.stretches.push_back(static_cast<int64_t>(row.samples_ns.size()));
  into.samples += row.samples;
  if (!into.samples_ns.empty()) into.median_ns = median(into.samples_ns);
}

}  // namespace

void merge_repetitions(Run& run) {
  struct Merged {
    size_t at, count;
  };
  std::map<std::string, Merged> merged;
  std::vector<Row> rows;
  for (Row& row : run.rows) {
    const auto [found, is_new] = merged.emplace(identity(row), Merged{rows.size(), 1});
    if (is_new) {
      rows.push_back(std::move(row));
      continue;
    }
    Merged& known = found->second;
    Row& into = rows[known.at];
    if (is_better(row, into)) {
      into = std::move(row), known.count = 1;
    } else if (!is_better(into, row) && into.status == Status::measured) {
      add_repetition(into, row, known.count++ == 1);
    }
  }
  run.rows = std::move(rows);
}

Run joined(std::vector<Run> runs) {
  Run all = std::move(runs.front());
  double squares = all.environment.noise_floor.value_or(0) * all.environment.noise_floor.value_or(0);
  for (size_t i = 1; i < runs.size(); ++i) {
    squares += runs[i].environment.noise_floor.value_or(0) * runs[i].environment.noise_floor.value_or(0);
    for (Row& row : runs[i].rows) all.rows.push_back(std::move(row));
  }
  if (runs.size() > 1) all.environment.noise_floor = std::sqrt(squares) / static_cast<double>(runs.size());
  merge_repetitions(all);
  return all;
}

namespace {

/// The ids that a run's devices get among those that are there already. Adds those that are new.
std::map<std::string, std::string> placed(std::vector<Device>& all, std::map<std::string, std::string>& machines,
                                          const Run& run) {
  std::map<std::string, std::string> names;
  const std::string machine = run.environment.cpu_model + run.environment.system;
  for (Device device : run.devices) {
    const std::string id = device.id;
    for (int number = 2;; device.id = fmt::format("{} ({})", id, number++)) {
      const auto known = std::ranges::find(all, device.id, &Device::id);
      if (known == all.end()) {
        machines[device.id] = machine;
        all.push_back(device);
        break;
      }
      const bool same = known->name == device.name && known->architecture == device.architecture &&
                        known->driver == device.driver && machines[device.id] == machine;
      if (!same) continue;
      *known = device;  // the newer build; lost or not
      break;
    }
    names[id] = device.id;
  }
  return names;
}

bool says_nothing(const Row& row) { return row.status == Status::skipped || row.status == Status::unmeasured; }

void take_rows(Run& all, std::map<std::string, size_t>& places, std::vector<Row>& rows) {
  for (Row& row : rows) {
    const auto [place, is_new] = places.emplace(identity(row), all.rows.size());
    if (is_new) all.rows.push_back(std::move(row));
    else if (!says_nothing(row)) all.rows[place->second] = std::move(row);
  }
}

void take_ceilings(Run& all, std::vector<Ceiling>& ceilings) {
  for (Ceiling& ceiling : ceilings) {
    const auto same = std::ranges::find_if(all.ceilings, [&](const Ceiling& each) {
      return each.device == ceiling.device && each.dtype == ceiling.dtype && each.kind == ceiling.kind &&
             each.working_set_bytes == ceiling.working_set_bytes;
    });
    if (same != all.ceilings.end()) *same = std::move(ceiling);
    else all.ceilings.push_back(std::move(ceiling));
  }
}

}  // namespace

Run combined(std::vector<Run> runs) {
  if (runs.size() == 1) return std::move(runs.front());
  std::vector<std::string> order;
  for (const Run& run : runs) {
    for (const Device& device : run.devices) order.push_back(device.id);
  }
  std::ranges::stable_sort(runs, {}, &Run::started);  // UTC in one form, so text is in order
  Run all;
  std::map<std::string, std::string> machines;  // of devices
  std::map<std::string, size_t> places;         // of rows, by identity
  for (Run& run : runs) {
    const auto names = placed(all.devices, machines, run);
    const auto renamed = [&](const std::string& id) { return names.contains(id) ? names.at(id) : id; };
    for (Row& row : run.rows) row.device = renamed(row.device);
    for (Ceiling& ceiling : run.ceilings) ceiling.device = renamed(ceiling.device);
    take_rows(all, places, run.rows);
    take_ceilings(all, run.ceilings);
    if (run.parts.empty()) run.parts = {{run.started, run.command_line, run.environment}};
    all.parts.insert(all.parts.end(), run.parts.begin(), run.parts.end());
    all.made_up |= run.made_up;
    all.started = run.started, all.environment = run.environment;
  }
  std::ranges::stable_sort(all.devices, {}, [&](const Device& each) { return std::ranges::find(order, each.id); });
  for (const Part& part : all.parts) {
    const std::optional<double> noise = part.environment.noise_floor;
    if (noise) all.environment.noise_floor = std::max(*noise, all.environment.noise_floor.value_or(0));
  }
  return all;
}

}  // namespace backplane::bench::report
