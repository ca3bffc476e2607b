// SPDX-License-Identifier: Apache-2.0
// Timing on a machine that is not ours alone.
//
// A sample is a batch of calls of at least `sample_ns`, with one wait at its end where the contestant has one.
// Contestants take turns, in an order that changes every round; each starts when no other thread of this process runs
// any more, so that the spinning workers of one do not slow the next. Rounds come in windows of a quarter of a second.
// A round counts only if in its window others took next to no processor time (busy.h), and if a short chain of
// dependent additions runs at 0.93 of its best speed on every core before and after. Rejected rounds are counted.
// With `turns`, another process measures the same in windows between ours (turns.h). Then all rounds count: what disturbs
// both alike is in neither's favour, and everything else shows in how far the ratios of neighbouring windows scatter.
// Processor time is taken beside wall time: for work on one thread it still means something under load.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace backplane::bench {

class Turns;
using Call = std::function<void()>;

/// A device's own clock around what is called in between.
class DeviceClock {
 public:
  virtual ~DeviceClock() = default;
  virtual void start() = 0;
  virtual void stop() = 0;
  virtual double ns() = 0;  ///< between the two, after the contestant's `finish`
};

struct Contestant {
  template <class F>
  Contestant(F call) : call(std::move(call)) {}  // NOLINT: a call alone is a contestant
  Contestant(Call call, Call finish, DeviceClock* clock = nullptr)
      : call(std::move(call)), finish(std::move(finish)), clock(clock) {}
  Call call;
  Call finish;  ///< waits for what was called; null where a call does
  DeviceClock* clock = nullptr;  ///< whose times count; null: the host's
  double repeat = 1;  ///< 1.1: every tenth call is made twice and counts once, to see whether that is noticed
};

struct Options {
  int rounds = 15;             ///< accepted rounds wanted; there may be more, since windows are completed
  int64_t sample_ns = 2'000'000;
  double budget_s = 6;         ///< stop trying after so long; at least 3 rounds are then kept, quiet or not
  int cores = 1;               ///< cores that have to be quiet
  Turns* turns = nullptr;      ///< with whom to take turns; the time is that of both
  std::string name = {};       ///< the same for both
};

struct Times {
  double median_ns = 0, p10_ns = 0, p90_ns = 0;  ///< of one call
  double host_ns = 0;  ///< median by the host's clock, where a device's counts
  double cpu_ns = 0;  ///< processor time, median; that of other threads than the caller's may lag by a scheduler tick
  std::vector<double> samples_ns;  ///< one per round that was used, in the order of time, like those of the others
};

struct Measurement {
  std::vector<Times> of;       ///< one per contestant
  std::vector<int64_t> stretches;  ///< rounds used of each window
  int rounds = 0;              ///< used
  int rejected = 0;            ///< not used because the machine was busy
  bool quiet = true;           ///< false: not enough quiet rounds, so busy ones were used
};

Measurement measure(const std::vector<Contestant>& contestants, const Options& options);

/// Nanoseconds of one call at first sight: the least of four batches that take about `sample_ns` in all, after one call
/// that is not counted unless it alone took longer than `enough_ns`.
double quick_time(const Contestant& contestant, int64_t sample_ns, int64_t enough_ns);

/// Quantile of values, 0 to 1, by interpolation.
double quantile(std::vector<double> values, double q);

}  // namespace backplane::bench
