// SPDX-License-Identifier: Apache-2.0
// Who else is using the processors, and whether our own threads have gone to sleep.
//
// A thread of ours that waits for a processor says nothing about others: drivers' workers wait for one another because of
// us. So others are what is left of the machine's time: processors x wall time - idle time - processor time of this process.
// Linux gives idle time in hundredths of a second, so this is asked about a quarter of a second and more, not a sample.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>

namespace backplane::bench {

int64_t now_ns();          ///< a clock that only goes forward
int64_t process_cpu_ns();  ///< of all threads of this process

/// Idle time since boot over all processors, from the text of /proc/stat.
struct Idle {
  int64_t idle_ns = 0;
  int processors = 0;
};
std::optional<Idle> parse_idle(std::istream& proc_stat);

/// One moment, as others_ns() needs it.
struct Moment {
  int64_t wall_ns = 0, own_ns = 0;
  Idle idle;
  static std::optional<Moment> now();  ///< nothing where Linux does not say
};
/// Processor time that others took between two moments; never negative.
int64_t others_ns(const Moment& from, const Moment& to);
/// What others may take in that time for the measurement to stand: 3 % of the machine, and twice the clock's step.
int64_t others_allowed_ns(const Moment& from, const Moment& to);

/// True for the text of /proc/<pid>/task/<tid>/stat of a thread that runs or wants to.
bool is_running(std::istream& task_stat);
/// Waits until no other thread of this process runs (OpenMP's workers spin for a while after a call), at most `limit_ns`.
/// False when some still do.
bool settle(int64_t limit_ns = 50'000'000);

}  // namespace backplane::bench
