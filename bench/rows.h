// SPDX-License-Identifier: Apache-2.0
// How a measurement becomes a row of Google Benchmark: one iteration whose time is the median, everything else in counters.
#pragma once

#include <benchmark/benchmark.h>

#include <string>

#include "measure.h"

namespace backplane::bench {

/// `body` measures and may add counters; it runs once. An Error inside becomes the row's error, not the program's end.
template <class F>
void add_row(const std::string& name, F body) {
  benchmark::RegisterBenchmark(name.c_str(), [body](benchmark::State& state) {
    for (auto _ : state) {
      try {
        const Measurement m = body(state);
        state.SetIterationTime(m.of[0].median_ns * 1e-9);
        state.counters["p10_us"] = m.of[0].p10_ns * 1e-3;
        state.counters["p90_us"] = m.of[0].p90_ns * 1e-3;
        state.counters["cpu_us"] = m.of[0].cpu_ns * 1e-3;
        state.counters["rounds"] = m.rounds;
        state.counters["rejected"] = m.rejected;
        state.counters["quiet"] = m.quiet ? 1 : 0;
      } catch (const std::exception& error) {
        state.SkipWithError(error.what());
        break;
      }
    }
  })->Iterations(1)->UseManualTime()->Unit(benchmark::kMicrosecond);
}

/// What the command line says.
struct Settings {
  std::string device = "cpu";  ///< selector of the device under test
  std::string details;         ///< file that gets one line of JSON per variant and case; none when empty
  std::string peers;           ///< libraries of peer_library.h, separated by colons
};
const Settings& settings();

/// Cores that the device under test uses: BACKPLANE_NUM_THREADS, or all.
int cores_used();

void add_onednn_rows();
void add_bandwidth_rows();
void add_variant_rows();
void add_peer_rows();
void add_card_rows();
void add_overhead_rows();
void add_planning_rows();
void add_tuning_rows();

}  // namespace backplane::bench
