// SPDX-License-Identifier: Apache-2.0
// backplane_bench: Google Benchmark over cases registered at run time. Rows carry their own medians and noise, see
// measure.h; bench/run makes a page of them. BACKPLANE_BENCH_DEVICE names the device, default "cpu".
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "rows.h"
#include "kernels.h"

namespace backplane::bench {

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
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
