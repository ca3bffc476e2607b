// SPDX-License-Identifier: Apache-2.0
#include "backplane/host/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <vector>

#include "discovery.h"

extern char** environ;

namespace backplane::host {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxReport = std::size_t{1} << 20;
constexpr std::size_t kMaxOutput = 2048;  // the tail of what the child printed
constexpr int kReportFd = 3;              // in the child
constexpr std::chrono::milliseconds kTick{5}, kLook{500};

/// A pipe whose ends are above the small numbers that the child uses, and are closed by exec.
class Pipe {
 public:
  Pipe() {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0) return;
    for (int i = 0; i < 2; ++i) {
      ends_[i] = ::fcntl(ends[i], F_DUPFD_CLOEXEC, 10);
      ::close(ends[i]);
    }
    ::fcntl(ends_[0], F_SETFL, O_NONBLOCK);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  bool good() const { return ends_[0] >= 0 && ends_[1] >= 0; }
  int end(int which) const { return ends_[which]; }
  void close_end(int which) {
    if (ends_[which] >= 0) ::close(ends_[which]);
    ends_[which] = -1;
  }
  /// Everything there is now, with the last `keep` bytes kept (or the first ones). False at the end of the stream.
  bool drain(std::string& into, std::size_t keep, bool keep_tail) {
    char buffer[16384];
    for (int rounds = 0; rounds < 64; ++rounds) {  // a child that never stops printing must not keep us here
      const ssize_t got = ::read(ends_[0], buffer, sizeof buffer);
      if (got == 0) return false;
      if (got < 0) return errno == EAGAIN || errno == EINTR;
      into.append(buffer, static_cast<std::size_t>(got));
      if (into.size() > keep) keep_tail ? into.erase(0, into.size() - keep) : into.erase(keep);
    }
    return true;
  }

 private:
  int ends_[2] = {-1, -1};
};

/// 0 or an errno.
int spawn(const ChildRequest& request, const Pipe& report, const Pipe& output, pid_t& pid) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  if (const int error = posix_spawn_file_actions_init(&actions); error != 0) return error;
  if (const int error = posix_spawnattr_init(&attributes); error != 0) {
    posix_spawn_file_actions_destroy(&actions);
    return error;
  }
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (request.output_file.empty()) {
    posix_spawn_file_actions_adddup2(&actions, output.end(1), STDOUT_FILENO);
  } else {
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, request.output_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                     0644);
  }
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  posix_spawn_file_actions_adddup2(&actions, report.end(1), kReportFd);
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 34)
  posix_spawn_file_actions_addclosefrom_np(&actions, kReportFd + 1);  // nothing of the host's leaks into the plugin
#endif
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

  std::vector<std::string> words{request.executable.string()};
  words.insert(words.end(), request.arguments.begin(), request.arguments.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const int error = ::posix_spawn(&pid, arguments[0], &actions, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

/// Kills what is left of the child's process group, then collects the child; in this order the number cannot have been
/// given to somebody else.
void reap(pid_t pid, ChildRun& run) {
  ::kill(-pid, SIGKILL);
  ::kill(pid, SIGKILL);  // it may have moved to another group
  int status = 0;
  pid_t got = -1;
  do {
    got = ::waitpid(pid, &status, 0);
  } while (got < 0 && errno == EINTR);
  // Neither is known when the program ignores SIGCHLD or waits for all its children.
  if (got == pid && WIFSIGNALED(status)) run.signal = WTERMSIG(status);
  if (got == pid && WIFEXITED(status)) run.exit_code = WEXITSTATUS(status);
}

bool has_ended(pid_t pid) {
  siginfo_t info{};
  const int result = ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT);
  return result != 0 ? errno != EINTR : info.si_pid == pid;
}

/// How long poll() may sleep: whoever measures in the child must not be woken often.
int patience_ms(const ChildRequest& request, Clock::time_point start, bool is_told_of_the_end) {
  const std::chrono::milliseconds most = is_told_of_the_end ? kLook : kTick;
  if (!request.limit) return static_cast<int>(most.count());
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(start + *request.limit - Clock::now());
  return static_cast<int>(std::clamp(left, std::chrono::milliseconds(0), most).count());
}

void watch(pid_t pid, const ChildRequest& request, ChildRun& run, Pipe& report, Pipe& output) {
  const Clock::time_point start = Clock::now();
  // Not <sys/pidfd.h>: that of glibc 2.36 cannot be used from C++. Before Linux 5.3 there is none, and we look often.
  const int ended = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  bool report_open = true, output_open = true;
  while (!has_ended(pid)) {
    run.timed_out = request.limit && Clock::now() >= start + *request.limit;
    run.cancelled = request.cancelled != nullptr && *request.cancelled;
    if (run.timed_out || run.cancelled) break;
    pollfd fds[3] = {{report_open ? report.end(0) : -1, POLLIN, 0},
                     {output_open ? output.end(0) : -1, POLLIN, 0},
                     {ended, POLLIN, 0}};
    ::poll(fds, 3, patience_ms(request, start, ended >= 0));
    if (report_open) report_open = report.drain(run.report, kMaxReport, false);
    if (output_open) output_open = output.drain(run.output, kMaxOutput, true);
  }
  if (ended >= 0) ::close(ended);
  reap(pid, run);
  report.drain(run.report, kMaxReport, false);
  output.drain(run.output, kMaxOutput, true);
}

void limit(int resource, rlim_t most) {
  rlimit current{};
  if (::getrlimit(static_cast<__rlimit_resource_t>(resource), &current) != 0) return;
  current.rlim_cur = std::min(current.rlim_cur, most);
  ::setrlimit(static_cast<__rlimit_resource_t>(resource), &current);
}

}  // namespace

ChildRun run_child(const ChildRequest& request) {
  ChildRun run;
  Pipe report, output;
  if (!report.good() || !output.good()) {
    run.trouble = std::string("no pipe: ") + std::strerror(errno);
    return run;
  }
  pid_t pid = -1;
  if (const int error = spawn(request, report, output, pid); error != 0) {
    run.trouble = request.executable.string() + " cannot be started: " + std::strerror(error);
    return run;
  }
  report.close_end(1);
  output.close_end(1);
  watch(pid, request, run, report, output);
  return run;
}

std::string signal_text(int signal) {
  const char* abbreviation = sigabbrev_np(signal);
  return abbreviation != nullptr ? "SIG" + std::string(abbreviation) : "signal " + std::to_string(signal);
}

fs::path find_helper(const std::string& name) {
  const fs::path own = own_directory();
  if (own.empty()) return {};
  for (const fs::path& directory : {own / "backplane", own.parent_path() / "lib" / "backplane"}) {
    fs::path candidate = directory / name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

void become_child(std::chrono::milliseconds time) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a host that dies takes its child along
  ::fcntl(kReportFd, F_SETFD, FD_CLOEXEC);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_CPU, static_cast<rlim_t>(time.count()) / 1000 * 8 + 10);  // several threads may well be busy
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  // Private writable memory, not address space: GPU drivers reserve terabytes of addresses that cost nothing.
  const auto half = static_cast<rlim_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE)) / 2;
  limit(RLIMIT_DATA, std::max(half, rlim_t{8} << 30));
#endif
}

bool report_line(const std::string& line) {
  const std::string text = line + "\n";
  const char* at = text.data();
  std::size_t left = text.size();
  while (left != 0) {
    const ssize_t written = ::write(kReportFd, at, left);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;  // nobody listens any more, or the plugin closed it
    at += written;
    left -= static_cast<std::size_t>(written);
  }
  return true;
}

}  // namespace backplane::host
