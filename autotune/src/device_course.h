// SPDX-License-Identifier: Apache-2.0
// The race's course on a device: batches long enough to be timed, a deadline before each, faults as reasons.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "backplane/autotune/race.h"
#include "contest.h"
#include "rig.h"

namespace backplane::autotune {

class DeviceCourse final : public Course {
 public:
  struct Entry {
    std::shared_ptr<host::Kernel> kernel;
    double ns = 0;          ///< of one launch, by the last look at it
    uint32_t launches = 0;  ///< of a sample; 0: not known yet
  };
  DeviceCourse(Rig& rig, std::vector<Entry> entries, const Request& request, std::function<int64_t()> now)
      : rig_(rig), entries_(std::move(entries)), request_(request), now_(std::move(now)) {}

  /// Runs entry i until its times settle: clocks, caches and lazily built parts are then where they stay.
  void warm_up(size_t i, int64_t deadline_ns);
  Sample sample(size_t i, int64_t deadline_ns) override;
  int64_t now_ns() override { return now_(); }
  double resolution_ns() const override { return rig_.resolution_ns(); }
  void aim(double sample_ns) override;
  void on_round(const char* stage, uint32_t done, uint32_t of) override;
  /// A launch did not end: the rig is of no use any more.
  bool hung() const { return hung_; }
  bool lost() const { return lost_; }

 private:
  bool fits(double ns, int64_t deadline_ns) const;
  bool calibrate(Entry& entry, int64_t deadline_ns);
  uint32_t launches_of(double launch_ns) const;
  uint32_t lead_of(const Entry& entry) const;
  double distorted(size_t i, double ns) const;

  Rig& rig_;
  std::vector<Entry> entries_;
  const Request& request_;
  std::function<int64_t()> now_;
  double sample_ns_ = sample_length(0, 1, resolution_ns());
  bool hung_ = false, lost_ = false;
};

}  // namespace backplane::autotune
