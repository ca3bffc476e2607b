// SPDX-License-Identifier: Apache-2.0
#include "busy.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

namespace backplane::bench {

namespace {

namespace fs = std::filesystem;

constexpr int64_t kTickNs = 10'000'000;  // USER_HZ is 100 on every Linux that C programs see

bool others_run() {
  const std::string self = std::to_string(gettid());
  std::error_code none;
  for (const auto& task : fs::directory_iterator("/proc/self/task", none)) {
    if (task.path().filename() == self) continue;
    std::ifstream stat(task.path() / "stat");
    if (is_running(stat)) return true;
  }
  return false;
}

/// A file's first number. Streams would allocate a buffer for each of some hundred files.
std::optional<int64_t> first_number(const fs::path& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return std::nullopt;
  char text[32] = {};
  const ssize_t length = read(file, text, sizeof text - 1);
  close(file);
  return length > 0 ? std::optional(std::atoll(text)) : std::nullopt;
}

/// In a container of its own there are tasks that /proc does not list, and with hidepid those of other users.
bool sees_all_tasks() {
  static const bool sees = [] {
    constexpr const char* kFirstNamespace = "pid:[4026531836]";  // PROC_PID_INIT_INO of linux/proc_ns.h
    std::error_code none;
    return fs::read_symlink("/proc/self/ns/pid", none) == kFirstNamespace &&
           first_number("/proc/1/task/1/schedstat").has_value();
  }();
  return sees;
}

/// Processor time of the tasks that are not ours; nothing where that is not all.
std::optional<int64_t> tasks_ns(const Moment& from, const Moment& to) {
  if (!from.tasks || !to.tasks) return std::nullopt;
  const auto is_new = [](const std::map<int, int64_t>& before) {
    return [&before](const auto& task) { return !before.contains(task.first); };
  };
  const auto seen = std::ranges::count_if(to.tasks->ours, is_new(from.tasks->ours)) +
                    std::ranges::count_if(to.tasks->others, is_new(from.tasks->others));
  if (to.processors.started - from.processors.started > seen) return std::nullopt;  // some have ended since
  if (std::ranges::any_of(from.tasks->others, is_new(to.tasks->others))) return std::nullopt;
  int64_t sum = 0;
  for (const auto& [id, run_ns] : to.tasks->others) {
    const auto before = from.tasks->others.find(id);
    sum += before == from.tasks->others.end() ? run_ns : run_ns - before->second;
  }
  return sum;
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

std::optional<Processors> parse_processors(std::istream& proc_stat) {
  // "cpu user nice system idle iowait irq softirq steal ...": the sum, then one line for each processor, and later
  // "processes", the tasks that were ever started (man 5 proc).
  std::optional<Processors> result;
  for (std::string line; std::getline(proc_stat, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    if (name == "cpu") {
      int64_t busy = 0, idle = 0, waiting = 0, stolen = 0;
      if (!(words >> busy >> busy >> busy >> idle >> waiting >> busy >> busy >> stolen)) return std::nullopt;
      result = Processors{0, (idle + waiting) * kTickNs, stolen * kTickNs, 0};
    } else if (result && name.starts_with("cpu")) {
      ++result->count;
    } else if (result && name == "processes") {
      words >> result->started;
    }
  }
  return result && result->count > 0 ? result : std::nullopt;
}

std::optional<Tasks> Tasks::now() {
  if (!sees_all_tasks()) return std::nullopt;
  Tasks tasks;
  std::error_code none;
  for (const auto& process : fs::directory_iterator("/proc", none)) {
    const int pid = std::atoi(process.path().filename().c_str());
    if (pid == 0) continue;
    std::map<int, int64_t>& into = pid == getpid() ? tasks.ours : tasks.others;
    for (const auto& task : fs::directory_iterator(process.path() / "task", none)) {
      const std::optional<int64_t> run_ns = first_number(task.path() / "schedstat");
      if (run_ns) into[std::atoi(task.path().filename().c_str())] = *run_ns;
    }
  }
  return tasks;
}

std::optional<Moment> Moment::now() {
  std::ifstream stat("/proc/stat");
  const std::optional<Processors> processors = parse_processors(stat);
  if (!processors) return std::nullopt;
  return Moment{now_ns(), process_cpu_ns(), *processors, Tasks::now()};
}

int64_t others_ns(const Moment& from, const Moment& to) {
  if (const std::optional<int64_t> of_tasks = tasks_ns(from, to))
    return *of_tasks + std::max<int64_t>(0, to.processors.stolen_ns - from.processors.stolen_ns);
  const int64_t all = (to.wall_ns - from.wall_ns) * to.processors.count;
  return std::max<int64_t>(0, all - (to.processors.idle_ns - from.processors.idle_ns) - (to.own_ns - from.own_ns));
}

double others_share(const Moment& from, const Moment& to) {
  const int64_t all = (to.wall_ns - from.wall_ns) * to.processors.count;
  return static_cast<double>(others_ns(from, to)) / static_cast<double>(std::max<int64_t>(all, 1));
}

int64_t others_allowed_ns(const Moment& from, const Moment& to) {
  return (to.wall_ns - from.wall_ns) * to.processors.count * 3 / 100 + 2 * kTickNs;
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
