// SPDX-License-Identifier: Apache-2.0
// Whether every core runs at its full speed: a short chain of dependent additions knows nothing but the core's clock, and
// is slower where a core is shared or clocked down.
#pragma once

#include <atomic>
#include <thread>
#include <vector>

namespace backplane::bench {

class CoreClock {
 public:
  explicit CoreClock(int cores);
  ~CoreClock();
  CoreClock(const CoreClock&) = delete;
  CoreClock& operator=(const CoreClock&) = delete;
  /// The chain runs at 0.93 of the best speed that was ever seen, on all cores at the same time.
  bool is_full();

 private:
  void work(size_t core);
  double slowest_ns();

  std::vector<double> times_;  ///< of the last chain on each core
  std::atomic<int> round_{0}, left_{0};
  std::atomic<bool> ends_{false};
  std::vector<std::thread> threads_;  ///< one for each core but the caller's; they sleep in between
  double best_ns_ = 1e18;
};

}  // namespace backplane::bench
