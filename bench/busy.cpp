// SPDX-License-Identifier: Apache-2.0
#include "busy.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

namespace backplane::bench {

namespace {

constexpr int64_t kTickNs = 10'000'000;  // USER_HZ is 100 on every Linux that C programs see

bool others_run() {
  const std::string self = std::to_string(gettid());
  std::error_code none;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", none)) {
    if (task.path().filename() == self) continue;
    std::ifstream stat(task.path() / "stat");
    if (is_running(stat)) return true;
  }
  return false;
}

}  // namespace

int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

int64_t process_cpu_ns() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec * int64_t{1'000'000'000} + t.tv_nsec;
}

std::optional<Idle> parse_idle(std::istream& proc_stat) {
  // "cpu user nice system idle iowait ...": the sum, then one line for each processor (man 5 proc).
  std::optional<Idle> result;
  for (std::string line; std::getline(proc_stat, line) && line.starts_with("cpu");) {
    std::istringstream words(line);
    std::string name;
    int64_t user = 0, nice = 0, system = 0, idle = 0, waiting = 0;
    if (!(words >> name >> user >> nice >> system >> idle >> waiting)) return std::nullopt;
    if (name == "cpu") result = Idle{(idle + waiting) * kTickNs, 0};
    else if (result) ++result->processors;
  }
  return result && result->processors > 0 ? result : std::nullopt;
}

std::optional<Moment> Moment::now() {
  std::ifstream stat("/proc/stat");
  const std::optional<Idle> idle = parse_idle(stat);
  if (!idle) return std::nullopt;
  return Moment{now_ns(), process_cpu_ns(), *idle};
}

int64_t others_ns(const Moment& from, const Moment& to) {
  const int64_t all = (to.wall_ns - from.wall_ns) * to.idle.processors;
  return std::max<int64_t>(0, all - (to.idle.idle_ns - from.idle.idle_ns) - (to.own_ns - from.own_ns));
}

int64_t others_allowed_ns(const Moment& from, const Moment& to) {
  return (to.wall_ns - from.wall_ns) * to.idle.processors * 3 / 100 + 2 * kTickNs;
}

bool is_running(std::istream& task_stat) {
  // "tid (name) state ...", and a name may hold anything, brackets too.
  std::string text;
  std::getline(task_stat, text, '\0');  // all of it; an iterator would throw where a thread ends while it is read
  const size_t end = text.rfind(") ");
  return end != std::string::npos && end + 2 < text.size() && text[end + 2] == 'R';
}

bool settle(int64_t limit_ns) {
  const int64_t deadline = now_ns() + limit_ns;
  while (others_run()) {
    if (now_ns() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(500));
  }
  return true;
}

}  // namespace backplane::bench
