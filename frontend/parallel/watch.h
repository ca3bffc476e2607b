// SPDX-License-Identifier: Apache-2.0
// Looks after what ranks have put into their queues. A device that fails there never takes its part in an exchange that
// other devices wait in, and nobody asks it: whoever reads a loss waits for one of the others.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "backplane/host/device.h"
#include "backplane/tensor.h"

namespace backplane::parallel {

class Watch {
 public:
  /// `failed` is called at most once, on a thread of this object, with the device's own reason.
  using Failed = std::function<void(uint32_t rank, const char* what)>;
  Watch(uint32_t ranks, Failed failed);
  /// Stops looking; what still runs is left alone.
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  /// From now on also all that is in the rank's queue. Throws host::Error.
  void add(uint32_t rank, const Device& device);

 private:
  struct Pending {
    host::Event now, next;  ///< the one looked at, and the newest after it
  };
  void look();
  bool anything() const;
  Failed failed_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Pending> pending_;  ///< by rank
  bool ending_ = false;
  std::thread thread_;  ///< goes first
};

}  // namespace backplane::parallel
