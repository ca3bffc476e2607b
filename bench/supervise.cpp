// SPDX-License-Identifier: Apache-2.0
#include "supervise.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include "attempt.h"
#include "busy.h"
#include "cli/command.h"

namespace backplane::bench {

namespace {

using autotune::Verdict;
constexpr int kLookMs = 500;

volatile sig_atomic_t child = 0;
void pass_on(int signal) {
  if (child > 0) kill(child, signal);
}

int checked(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), std::string("[bench] ") + what);
  return result;
}

pid_t start(const SweepOptions& options, const std::function<int(const SweepOptions&)>& sweep) {
  std::fflush(nullptr);
  const pid_t parent = getpid(), pid = checked(fork(), "fork");
  if (pid > 0) return pid;
  // A group of its own: Ctrl-C on the terminal then comes once, through the parent.
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  std::signal(SIGINT, SIG_DFL);
  const int code = sweep(options);
  std::fflush(nullptr);
  Attempt::shared().finish(code);
  std::exit(code);
}

/// Its status as waitpid() gives it. `limit_s` becomes that of what it was at; `hung`: it was killed because it was
/// longer at that.
int wait_for(pid_t pid, double& limit_s, bool& hung) {
  const double usual_s = limit_s;
  // Not <sys/pidfd.h>: that of glibc 2.36 cannot be used from C++.
  const int descriptor = checked(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)), "pidfd_open");
  pollfd look{descriptor, POLLIN, 0};
  while (poll(&look, 1, kLookMs) != 1) {
    limit_s = std::min(usual_s, Attempt::shared().limit_s());
    const double at_it_s = static_cast<double>(now_ns() - Attempt::shared().since_ns()) * 1e-9;
    if (at_it_s < limit_s || Attempt::shared().finished()) continue;
    hung = true;
    kill(pid, SIGKILL);
  }
  close(descriptor);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) checked(-1, "waitpid");
  }
  return status;
}

std::string name_of_signal(int number) {
  const char* name = sigabbrev_np(number);
  return name != nullptr ? std::string("SIG") + name : fmt::format("signal {}", number);
}

autotune::Failure what_happened(int status, bool hung, double limit_s) {
  if (hung) return {Verdict::hung, fmt::format("no end within {:.3g} s", limit_s)};
  if (WIFEXITED(status))
    return {Verdict::crashed, fmt::format("the process ended itself with code {}", WEXITSTATUS(status))};
  const int number = WTERMSIG(status);
  return {Verdict::crashed, name_of_signal(number) + (number == SIGKILL ? ", perhaps for want of memory" : "")};
}

}  // namespace

int supervise(SweepOptions options, const std::function<int(const SweepOptions&)>& sweep) {
  Attempt& attempt = Attempt::shared();
  options.start_ns = now_ns();
  struct sigaction action {};
  action.sa_handler = pass_on;
  sigaction(SIGINT, &action, nullptr);
  while (true) {
    attempt.reset();
    const pid_t pid = start(options, sweep);
    child = pid;
    bool hung = false;
    double limit_s = options.limit_s;
    const int status = wait_for(pid, limit_s, hung);
    child = 0;
    if (attempt.finished()) return attempt.exit_code();
    if (WIFSIGNALED(status) && !hung && (WTERMSIG(status) == SIGINT || WTERMSIG(status) == SIGTERM))
      return WTERMSIG(status) == SIGINT ? static_cast<int>(cli::ExitCode::interrupted) : 128 + SIGTERM;
    Incident incident = attempt.read();
    incident.what = what_happened(status, hung, limit_s);
    const std::string text = fmt::format("{}: {}", name_of(incident.what.verdict), incident.what.reason);
    if (incident.work.empty()) {
      fmt::print(stderr, "backplane bench: [bench] {} outside of any row / see backplane doctor\n", text);
      return static_cast<int>(cli::ExitCode::failure);
    }
    fmt::print(stderr, "\n{} {} {}: {}; going on without it\n", incident.device, incident.work, incident.variant, text);
    options.incidents.push_back(std::move(incident));
    options.resume = true;
  }
}

}  // namespace backplane::bench
