// SPDX-License-Identifier: Apache-2.0
// backplane_bench: Google Benchmark over cases registered at run time. Rows carry their own medians and noise, see
// measure.h; bench/run makes a page of them.
//
//   backplane_bench [--device=cpu] [--details=FILE] [--peers=LIBRARY:...] [--benchmark_filter=REGEX] ...
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>

#include "rows.h"
#include "kernels.h"

namespace backplane::bench {

namespace {

/// Takes "--name=value" out of the arguments; Google Benchmark gets the rest.
void take(const char* name, std::string& value, int& argc, char** argv) {
  const std::string prefix = std::string("--") + name + "=";
  for (int i = 1; i < argc; ++i) {
    if (!std::string_view(argv[i]).starts_with(prefix)) continue;
    value = argv[i] + prefix.size();
    std::copy(argv + i + 1, argv + argc + 1, argv + i);  // the null behind the last one too
    --argc, --i;
  }
}

Settings& writable_settings() {
  static Settings settings;
  return settings;
}

}  // namespace

const Settings& settings() { return writable_settings(); }

void take_settings(int& argc, char** argv) {
  take("device", writable_settings().device, argc, argv);
  take("details", writable_settings().details, argc, argv);
  take("peers", writable_settings().peers, argc, argv);
}

int cores_used() {
  if (const char* text = std::getenv("BACKPLANE_NUM_THREADS")) return std::max(1, std::atoi(text));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

#if !defined(BACKPLANE_BENCH_ONEDNN)
void add_onednn_rows() {}
#endif

void add_context() {
  benchmark::AddCustomContext("build", BACKPLANE_BENCH_BUILD);
  benchmark::AddCustomContext("threads", std::to_string(cores_used()));
  try {
    const bp_device_info& info = device_under_test()->info();
    benchmark::AddCustomContext("device", std::string(info.name) + ", " + info.architecture + ", " + info.driver);
  } catch (const std::exception& error) {
    benchmark::AddCustomContext("device", std::string("none: ") + error.what());
  }
}

}  // namespace backplane::bench

int main(int argc, char** argv) {
  using namespace backplane::bench;
  take_settings(argc, argv);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  add_context();
  add_onednn_rows();
  add_bandwidth_rows();
  add_variant_rows();
  add_peer_rows();
  add_card_rows();
  add_overhead_rows();
  add_planning_rows();
  add_tuning_rows();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
