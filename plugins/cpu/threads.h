// SPDX-License-Identifier: Apache-2.0
// The card's own threads.
//
// One small pool serves every kernel, oneDNN's included: those run one primitive per thread on a slice of the problem,
// so no second (OpenMP) pool ever spins beside this one. Workers spin for some microseconds after a job, then sleep.
// The calling thread takes part and takes whatever is unclaimed, so a worker that the system does not schedule delays
// nothing but the piece it has already begun. A second caller that finds the pool busy does its job alone.
#pragma once

#include <cstdint>
#include <type_traits>

namespace backplane::cpu {

/// Work below this many bytes moved, or this many floating-point operations, is not worth waking a thread for.
constexpr int64_t kParallelBytes = 256 * 1024;
constexpr int64_t kParallelFlops = 1'000'000;

/// Starts the pool with `threads` in all (0 = physical cores this process may use) for the first opened device.
void retain_threads(int threads);
void release_threads();
/// Threads in all, the caller included; 1 when no device is open.
int thread_count();
/// Cores that the process may run on.
int available_cores();

/// Calls task(context, i) once for every i in [0, count), in any order, and returns when all are done.
void parallel_tasks(int64_t count, void (*task)(void*, int64_t), void* context);

template <class F>
void parallel_tasks(int64_t count, F&& f) {
  using Body = std::remove_reference_t<F>;
  parallel_tasks(count, [](void* context, int64_t i) { (*static_cast<Body*>(context))(i); }, &f);
}

/// Splits [0, count) into pieces of at least `grain` and calls f(begin, end) for each.
template <class F>
void parallel_ranges(int64_t count, int64_t grain, F&& f) {
  if (count <= 0) return;
  if (grain < 1) grain = 1;
  const int64_t most = (count + grain - 1) / grain;
  const int64_t threads = thread_count();
  int64_t pieces = threads == 1 ? 1 : most < 4 * threads ? most : 4 * threads;
  if (pieces <= 1) return f(int64_t{0}, count);
  parallel_tasks(pieces, [&](int64_t i) { f(count * i / pieces, count * (i + 1) / pieces); });
}

}  // namespace backplane::cpu
