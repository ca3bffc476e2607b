// SPDX-License-Identifier: Apache-2.0
// Who else is using the processors, and whether our own threads have gone to sleep.
//
// A thread of ours that waits for a processor says nothing about others: drivers' workers wait for one another because of
// us. So others are the processor time of all tasks that are not ours, which Linux keeps in nanoseconds, and what the
// hypervisor took. Where a task began and ended in between, or Linux does not show us all, others are what is left of
// the machine's time: processors x wall time - idle time - processor time of this process. That is never too little, but
// too much by what the kernel itself needs for every sleep and every wake-up. The clocks of idle and stolen time step by
// hundredths of a second, so this is asked about a quarter of a second and more, not a sample.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <map>
#include <optional>

namespace backplane::bench {

int64_t now_ns();          ///< a clock that only goes forward
int64_t process_cpu_ns();  ///< of all threads of this process

/// The text of /proc/stat: sums over all processors since boot.
struct Processors {
  int count = 0;
  int64_t idle_ns = 0;
  int64_t stolen_ns = 0;  ///< by the hypervisor
  int64_t started = 0;    ///< tasks
};
std::optional<Processors> parse_processors(std::istream& proc_stat);

/// All tasks that there are, with the processor time since they began.
struct Tasks {
  std::map<int, int64_t> ours, others;
  static std::optional<Tasks> now();  ///< nothing where this process cannot see all; takes about 10 us a task
};

/// One moment, as others_ns() needs it.
struct Moment {
  int64_t wall_ns = 0, own_ns = 0;
  Processors processors;
  std::optional<Tasks> tasks;
  static std::optional<Moment> now();  ///< nothing where Linux does not say
};
/// Processor time that others took between two moments; never negative.
int64_t others_ns(const Moment& from, const Moment& to);
/// The same as a share of the machine's time.
double others_share(const Moment& from, const Moment& to);
/// What others may take in that time for the measurement to stand: 3 % of the machine, and twice the clock's step.
int64_t others_allowed_ns(const Moment& from, const Moment& to);

/// True for the text of /proc/<pid>/task/<tid>/stat of a thread that runs or wants to.
bool is_running(std::istream& task_stat);
/// Waits until no other thread of this process runs (OpenMP's workers spin for a while after a call), at most `limit_ns`.
/// False when some still do.
bool settle(int64_t limit_ns = 50'000'000);

}  // namespace backplane::bench
