// SPDX-License-Identifier: Apache-2.0
#include "probe.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <string_view>
#include <vector>

#include "backplane/host/log.h"
#include "backplane/host/text.h"
#include "discovery.h"

extern char** environ;

namespace backplane::host {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxReport = std::size_t{1} << 20;
constexpr std::size_t kMaxOutput = 2048;  // the tail of what the plugin printed
constexpr int kReportFd = 3;              // in the child
constexpr std::chrono::milliseconds kTick{5};

std::atomic<unsigned> g_probes{0};

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
    for (int rounds = 0; rounds < 64; ++rounds) {  // a plugin that never stops printing must not keep us here
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

struct Child {
  pid_t pid = -1;
  std::string report, output;
  bool timed_out = false;
  bool status_known = false;
  int status = 0;
};

/// 0 or an errno.
int spawn(const fs::path& executable, const ProbeRequest& request, const Pipe& report, const Pipe& output, pid_t& pid) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  if (const int error = posix_spawn_file_actions_init(&actions); error != 0) return error;
  if (const int error = posix_spawnattr_init(&attributes); error != 0) {
    posix_spawn_file_actions_destroy(&actions);
    return error;
  }
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output.end(1), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output.end(1), STDERR_FILENO);
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

  std::string program = executable.string(), plugin = request.plugin.string(), name = request.name;
  std::string limit = std::to_string(request.timeout_ms);
  char* arguments[] = {program.data(), plugin.data(), name.data(), limit.data(), nullptr};
  const int error = ::posix_spawn(&pid, program.c_str(), &actions, &attributes, arguments, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

/// Kills what is left of the child's process group, then collects the child; in this order the number cannot have been
/// given to somebody else.
void reap(Child& child) {
  ::kill(-child.pid, SIGKILL);
  ::kill(child.pid, SIGKILL);  // it may have moved to another group
  int status = 0;
  pid_t got = -1;
  do {
    got = ::waitpid(child.pid, &status, 0);
  } while (got < 0 && errno == EINTR);
  child.status_known = got == child.pid;  // not when the program ignores SIGCHLD or waits for all its children
  child.status = status;
}

bool has_ended(const Child& child) {
  siginfo_t info{};
  const int result = ::waitid(P_PID, static_cast<id_t>(child.pid), &info, WEXITED | WNOHANG | WNOWAIT);
  return result != 0 ? errno != EINTR : info.si_pid == child.pid;
}

void watch(Child& child, Pipe& report, Pipe& output, Clock::time_point deadline) {
  bool report_open = true, output_open = true;
  while (!has_ended(child)) {
    if (Clock::now() >= deadline) {
      child.timed_out = true;
      break;
    }
    pollfd fds[2] = {{report_open ? report.end(0) : -1, POLLIN, 0}, {output_open ? output.end(0) : -1, POLLIN, 0}};
    ::poll(fds, 2, static_cast<int>(kTick.count()));
    if (report_open) report_open = report.drain(child.report, kMaxReport, false);
    if (output_open) output_open = output.drain(child.output, kMaxOutput, true);
  }
  reap(child);
  report.drain(child.report, kMaxReport, false);
  output.drain(child.output, kMaxOutput, true);
}

/// What was going on when the child stopped, in words.
struct StageText {
  std::string_view stage;
  const char* text;
};
constexpr StageText kStages[] = {
    {"load", "while it was being loaded (a static constructor, or a library it needs)"},
    {"entry", "in its entry point"},
    {"tables", "while its tables were read"},
    {"create", "in `create` or `get_interface`"},
    {"devices", "in `devices`"},
};

const char* stage_text(std::string_view stage) {
  for (const StageText& entry : kStages) {
    if (entry.stage == stage) return entry.text;
  }
  return "before it was loaded";
}

std::string signal_text(int signal) {
  const char* abbreviation = sigabbrev_np(signal);
  return abbreviation != nullptr ? "SIG" + std::string(abbreviation) : "signal " + std::to_string(signal);
}

ProbeResult failure(const Child& child, std::string_view code, std::string what) {
  ProbeResult result;
  result.code = std::string(code);
  result.reason = std::move(what);
  if (const std::string tail = clean_text(trim(child.output), 400); !tail.empty()) {
    result.reason += "; it printed: " + tail;
  }
  return result;
}

/// The report is lines "stage NAME", the last of which may be "result JSON".
ProbeResult judge(const Child& child, unsigned timeout_ms) {
  std::string stage, result;
  for (const std::string& line : split(child.report, '\n')) {
    if (line.rfind("stage ", 0) == 0) stage = line.substr(6);
    if (line.rfind("result ", 0) == 0) result = line.substr(7);
  }
  const std::string where = stage_text(stage);
  if (!result.empty()) {
    if (auto parsed = probe_result_from_json(result)) return *parsed;
    return failure(child, "garbled-report", "the probe's report is damaged");
  }
  if (child.timed_out) {
    return failure(child, "hangs",
                   "it did not come back within " + std::to_string(timeout_ms) + " ms " + where +
                       "; BACKPLANE_PROBE_TIMEOUT_MS gives it more");
  }
  if (child.status_known && WIFSIGNALED(child.status)) {
    return failure(child, "crashes", "it crashed (" + signal_text(WTERMSIG(child.status)) + ") " + where);
  }
  if (child.status_known && WIFEXITED(child.status) && WEXITSTATUS(child.status) == kProbeUndelivered) {
    return failure(child, "garbled-report", "it closed the descriptor through which its probe reports");
  }
  if (child.status_known && WIFEXITED(child.status) && !stage.empty()) {
    return failure(child, "exits",
                   "it ended the process with exit code " + std::to_string(WEXITSTATUS(child.status)) + " " + where);
  }
  return failure(child, "garbled-report", "the probe ended without a report " + where);
}

}  // namespace

unsigned probes_run() { return g_probes.load(); }

fs::path find_probe_executable() {
  const fs::path own = own_directory();
  if (own.empty()) return {};
  for (const fs::path& directory : {own / "backplane", own.parent_path() / "lib" / "backplane"}) {
    fs::path candidate = directory / "backplane-probe";
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

std::optional<ProbeResult> run_probe(const ProbeRequest& request) {
  const fs::path executable = request.executable.empty() ? find_probe_executable() : request.executable;
  const auto give_up = [&](const std::string& why) {
    log(BP_LOG_WARNING, "plugins",
        request.plugin.string() + " is loaded without being probed in a child process: " + why);
    return std::nullopt;
  };
  if (executable.empty()) return give_up("backplane-probe is not installed beside this library");
  Pipe report, output;
  if (!report.good() || !output.good()) return give_up(std::string("no pipe: ") + std::strerror(errno));
  Child child;
  if (const int error = spawn(executable, request, report, output, child.pid); error != 0) {
    return give_up(executable.string() + " cannot be started: " + std::strerror(error));
  }
  ++g_probes;
  report.close_end(1);
  output.close_end(1);
  watch(child, report, output, Clock::now() + std::chrono::milliseconds(request.timeout_ms));
  return judge(child, request.timeout_ms);
}

}  // namespace backplane::host
