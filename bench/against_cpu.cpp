// SPDX-License-Identifier: Apache-2.0
// Rows "cards/<case>": softmax and norms on the device and on the cpu card of the same machine, taking turns in one process.
// Two figures each: many launches with one wait, as in a graph, and a wait after each.
#include "rows.h"
#include "trial.h"

namespace backplane::bench {

namespace {

Measurement against_cpu(benchmark::State& state, const Case& c) {
  const auto values = make_values(c);
  const Trial trial = try_variants(device_under_test(), c, values);
  const Prepared cpu(std::make_shared<Operands>(host::Registry::instance().open("cpu"), c, values));
  cpu.launch();
  const Difference d = compare(c, expected(c, values), cpu.operands().outputs(), 0);
  if (!d.ok()) throw Error("[bench] the cpu card is wrong by " + std::to_string(d.error) + " of the largest");
  const Prepared &usual = *trial.default_variant().kernel, &best = *trial.winner().kernel;
  std::vector<Contestant> contestants = {usual.contestant(), cpu.contestant(), [&] { usual.launch(); }};
  if (trial.best != 0) contestants.push_back(best.contestant());
  const Measurement m = measure(contestants, {.rounds = 9, .budget_s = 4, .cores = cores_used()});
  const double best_ns = m.of[trial.best != 0 ? 3 : 0].median_ns, cpu_ns = m.of[1].median_ns;
  state.counters["best_us"] = best_ns * 1e-3;
  state.counters["cpu_card_us"] = cpu_ns * 1e-3;
  state.counters["waited_us"] = m.of[2].median_ns * 1e-3;
  state.counters["of_cpu"] = cpu_ns / m.of[0].median_ns;
  state.counters["best_of_cpu"] = cpu_ns / best_ns;
  state.counters["waited_of_cpu"] = cpu_ns / m.of[2].median_ns;
  state.counters["GB_per_s"] = c.cost().bytes / m.of[0].median_ns;
  std::string label = usual.variant();
  if (trial.best != 0) label += " -> " + best.variant();
  state.SetLabel(label + " against " + cpu.variant());
  return m;
}

}  // namespace

void add_card_rows() {
  for (const Case& c : workloads()) {
    const std::string group = c.group();
    if (group.find("softmax") == std::string::npos && !group.starts_with("normalize")) continue;
    add_row("cards/" + c.name, [&c](benchmark::State& state) { return against_cpu(state, c); });
  }
}

}  // namespace backplane::bench
