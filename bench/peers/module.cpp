// SPDX-License-Identifier: Apache-2.0
#include "peers/module.h"

namespace backplane::bench {

extern "C" __attribute__((visibility("default"))) void backplane_bench_make_peers(Peers* result,
                                                                                  const host::DevicePtr* device,
                                                                                  int threads);

void backplane_bench_make_peers(Peers* result, const host::DevicePtr* device, [[maybe_unused]] int threads) {
  [[maybe_unused]] const bool on_host = (*device)->info().kind == BP_KIND_CPU || (*device)->has(BP_DEVICE_SOFTWARE);
#if defined(BACKPLANE_BENCH_ONEDNN)
  if (on_host) result->push_back(make_onednn(threads));
#endif
#if defined(BACKPLANE_BENCH_OPENBLAS)
  if (on_host) result->push_back(make_openblas(threads));
#endif
#if defined(BACKPLANE_BENCH_EIGEN)
  if (on_host) result->push_back(make_eigen(threads));
#endif
#if defined(BACKPLANE_BENCH_CLBLAST)
  if (auto clblast = make_clblast(*device)) result->push_back(std::move(clblast));
#endif
}

}  // namespace backplane::bench
