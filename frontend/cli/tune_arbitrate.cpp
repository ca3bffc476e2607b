// SPDX-License-Identifier: Apache-2.0
// `backplane tune --arbitrate`: the plugins by which one machine can be reached, raced on each problem with the variants
// that are chosen on each; and `tune show --arbitration`.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "backplane/autotune/placement.h"
#include "backplane/graph/runtime.h"
#include "backplane/host/error.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/tune.h"

namespace backplane::cli {
namespace {

using autotune::Placement;

struct Contender {
  std::string name;
  std::unique_ptr<autotune::Tuner> tuner;
};

std::vector<Contender> contenders_for(const Device& device, double budget_ms) {
  std::vector<Contender> list;
  for (const host::DeviceEntry& each : autotune::same_machine(list_devices(), device.name())) {
    try {
      const Device opened(each.name);
      list.push_back({each.name, make_tuner(opened, budget_ms)});
    } catch (const Error& error) {
      fmt::print(stderr, "{} does not take part: {}\n", each.name, error.what());
    }
  }
  if (list.size() < 2) {
    throw CommandError(ExitCode::device, "[tune] " + device.name() +
                                             " is reached by one plugin only / backplane devices lists what there is");
  }
  return list;
}

/// What is chosen on that device, measured now unless it was before.
std::string chosen_on(Contender& contender, const bp_op& op) {
  autotune::Tuner& tuner = *contender.tuner;
  if (const auto known = tuner.known(op)) return known->record.outcome.chosen;
  if (tuner.choices(op) < 2) return {};
  autotune::Tuner::Watch watch;
  watch.cancelled = &interrupted();
  return tuner.measure(op, watch).chosen;
}

Placement not_done(const Contender& contender, const autotune::Key& key) {
  Placement row;
  row.key = key, row.device = contender.tuner->fingerprint();
  row.machine = autotune::machine_of(contender.tuner->device()->info());
  return row;
}

std::vector<Placement> race(std::vector<Contender>& contenders, const TuneProblem& problem) {
  return problem.op.with_op([&](const bp_op& op) {
    std::vector<autotune::Entrant> entrants;
    std::vector<Placement> rows;
    for (Contender& each : contenders) {
      if (each.tuner->device()->query(op).verdict == BP_SUPPORT_YES) {
        entrants.push_back({each.tuner->device(), chosen_on(each, op)});
      } else {
        rows.push_back(not_done(each, problem.key));
      }
    }
    if (entrants.size() < 2 || interrupted()) return std::vector<Placement>();
    autotune::ArbitrationOptions options;
    options.oracle = autotune::oracle_for(entrants.front().device);
    options.cancelled = &interrupted();
    for (Placement& row : autotune::arbitrate(entrants, op, options)) rows.push_back(std::move(row));
    if (interrupted()) return std::vector<Placement>();  // a few rounds say little
    for (Placement& row : rows) row.calls = std::max<uint64_t>(problem.calls, 1);
    return rows;
  });
}

/// "cpu" of "cpu|x86-64-v4|..."
std::string plugin_of(const Placement& row) { return row.device.device.substr(0, row.device.device.find('|')); }

std::string verdict(const std::vector<Placement>& rows) {
  std::string text;
  for (const Placement& row : rows) {
    text += (text.empty() ? "" : ", ") + plugin_of(row) + " " +
            (row.run_ns > 0 ? time_text(row.run_ns) + " + " + time_text(row.move_ns) : "does not do it");
  }
  return text;
}

Json row_json(const Placement& row) {
  return {{"machine", row.machine}, {"problem", row.key.problem}, {"shapes", row.key.shapes},
          {"policy", row.key.policy}, {"device", row.device.device}, {"build", row.device.build},
          {"variant", row.variant}, {"run_ns", row.run_ns}, {"move_ns", row.move_ns},
          {"log_ratio", {{"mean", row.log_ratio.mean}, {"low", row.log_ratio.low}, {"high", row.log_ratio.high}}},
          {"calls", row.calls}};
}

Json preference_json(const std::optional<autotune::Preference>& preference) {
  if (!preference) return nullptr;
  return {{"device", preference->device}, {"why", preference->why}};
}

std::optional<autotune::Preference> preference_among(const std::vector<Contender>& contenders) {
  std::vector<autotune::Member> members;
  for (const Contender& each : contenders) members.push_back({each.name, each.tuner->fingerprint()});
  return autotune::prefer(members, contenders.front().tuner->tuning().store().placements());
}

}  // namespace

ExitCode run_tune_arbitrate(const TuneOptions& o, const Device& device) {
  std::vector<TuneProblem> problems = collect_problems(o, device);
  std::vector<Contender> contenders = contenders_for(device, o.budget_ms);
  autotune::Store& store = contenders.front().tuner->tuning().store();
  catch_interrupt();
  StatusLine status(o.json ? stderr : stdout);
  Json rows = Json::array();
  for (size_t i = 0; i < problems.size() && !interrupted(); ++i) {
    const std::string name = problems[i].key.problem + " " + problems[i].key.shapes;
    status.show(fmt::format("{}/{} {}", i + 1, problems.size(), name));
    try {
      const std::vector<Placement> raced = race(contenders, problems[i]);
      if (!raced.empty() && !store.put(raced)) throw CommandError(ExitCode::file, "[tune] " + store.trouble());
      for (const Placement& each : raced) rows.push_back(row_json(each));
      status.line(name + ": " + (raced.empty() ? "fewer than two plugins do it" : verdict(raced)));
    } catch (const host::Error& error) {
      status.line(name + ": " + error.what());
    }
  }
  const auto preference = preference_among(contenders);
  if (o.json) {
    print_json({{"schema", 1}, {"command", "tune"}, {"arbitration", rows}, {"auto", preference_json(preference)}});
  } else {
    status.line("times are of a launch, and of copying its operands there and back");
    status.line(preference ? "auto takes " + preference->device + ": " + preference->why
                           : std::string("no two plugins were compared"));
  }
  return interrupted() ? ExitCode::interrupted : ExitCode::ok;
}

ExitCode show_arbitration(const TuneQuery& query) {
  const auto store = open_store(autotune::Store::Access::read);
  std::vector<std::vector<std::string>> table{
      {"MACHINE", "PROBLEM", "PLUGIN", "VARIANT", "LAUNCH", "COPIES", "OF THE FIRST", "CALLS"}};
  Json rows = Json::array();
  for (const Placement& row : store->placements()) {
    if (!query.op.empty() && row.key.operation() != query.op) continue;
    const bool done = row.run_ns > 0;
    rows.push_back(row_json(row));
    table.push_back({row.machine, row.key.problem + " " + row.key.shapes, plugin_of(row), done ? row.variant : "-",
                     done ? time_text(row.run_ns) : "-", done ? time_text(row.move_ns) : "-",
                     done ? fmt::format("{:.2f} x [{:.2f}, {:.2f}]", std::exp(row.log_ratio.mean),
                                        std::exp(row.log_ratio.low), std::exp(row.log_ratio.high))
                          : "not done",
                     std::to_string(row.calls)});
  }
  if (query.json) {
    print_json({{"schema", 1}, {"command", "tune show"}, {"arbitration", rows}});
  } else {
    print_table(table);
  }
  return ExitCode::ok;
}

}  // namespace backplane::cli
