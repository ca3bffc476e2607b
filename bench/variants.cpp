// SPDX-License-Identifier: Apache-2.0
// Rows "variants/<case>": what the device's default takes, what its best variant takes, and what became of the others.
// The file
// of --details gets one line of JSON for each variant of each case.
#include <fstream>
#include <nlohmann/json.hpp>

#include "rows.h"
#include "trial.h"

namespace backplane::bench {

namespace {

void write_details(const Case& c, const Trial& trial) {
  if (settings().details.empty()) return;
  std::ofstream out(settings().details, std::ios::app);
  for (const Tried& t : trial.tried) {
    nlohmann::ordered_json line = {{"device", device_under_test()->name()},
                                   {"threads", cores_used()},
                                   {"case", c.name},
                                   {"variant", t.name},
                                   {"default", t.is_default},
                                   {"verdict", name_of(t.verdict)}};
    if (t.kernel) {
      line["us"] = t.times.median_ns * 1e-3;
      if (t.verdict == Tried::Verdict::raced) {
        line["p10_us"] = t.times.p10_ns * 1e-3, line["p90_us"] = t.times.p90_ns * 1e-3;
        line["cpu_us"] = t.times.cpu_ns * 1e-3;
        line["rounds"] = trial.race.rounds, line["quiet"] = trial.race.quiet;
      }
      line["error"] = t.difference.error, line["checked_by"] = trial.checked_by;
    }
    if (!t.why.empty()) line["why"] = t.why;
    out << line.dump() << '\n';
  }
}

Measurement race_variants(benchmark::State& state, const Case& c) {
  const Trial trial = try_variants(device_under_test(), c, make_values(c));
  write_details(c, trial);
  const Times &usual = trial.default_variant().times, &best = trial.winner().times;
  state.counters["best_us"] = best.median_ns * 1e-3;
  state.counters["gain"] = usual.median_ns / best.median_ns;
  state.counters["GFLOP_per_s"] = c.cost().flops / best.median_ns;
  state.counters["GB_per_s"] = c.cost().bytes / best.median_ns;
  state.counters["error"] = trial.winner().difference.error;
  state.counters["variants"] = static_cast<double>(trial.tried.size());
  state.counters["wrong"] = trial.count(Tried::Verdict::wrong) + trial.count(Tried::Verdict::failed);
  state.counters["skipped"] = trial.count(Tried::Verdict::skipped);
  std::string label = trial.default_variant().name;
  if (trial.best != 0) label += " -> " + trial.winner().name;
  for (const auto verdict : {Tried::Verdict::wrong, Tried::Verdict::failed}) {
    if (trial.count(verdict) != 0) label += "; " + std::string(name_of(verdict)) + ": " + trial.list(verdict);
  }
  state.SetLabel(label);
  return trial.race;
}

}  // namespace

void add_variant_rows() {
  for (const Case& c : workloads()) {
    add_row("variants/" + c.name, [&c](benchmark::State& state) { return race_variants(state, c); });
  }
}

}  // namespace backplane::bench
