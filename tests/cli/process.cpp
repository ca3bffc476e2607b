// SPDX-License-Identifier: Apache-2.0
#include "cli/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

namespace backplane::tests {
namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void become(const std::vector<std::string>& arguments, const RunOptions& options) {
  for (const auto& [name, value] : options.environment) {
    value.empty() ? unsetenv(name.c_str()) : setenv(name.c_str(), value.c_str(), 1);
  }
  std::vector<char*> argv{const_cast<char*>(BACKPLANE_COMMAND)};
  for (const std::string& each : arguments) argv.push_back(const_cast<char*>(each.c_str()));
  argv.push_back(nullptr);
  execv(BACKPLANE_COMMAND, argv.data());
  _exit(127);
}

struct Channel {
  int fd = -1;
  std::string* text = nullptr;
};

/// Reads what is there; false at the end.
bool drain(Channel& channel) {
  char buffer[4096];
  const ssize_t n = read(channel.fd, buffer, sizeof buffer);
  if (n > 0) {
    channel.text->append(buffer, static_cast<size_t>(n));
    return true;
  }
  close(channel.fd);
  channel.fd = -1;
  return false;
}

void collect(pid_t child, std::vector<Channel> channels, const RunOptions& options) {
  const Clock::time_point start = Clock::now();
  Clock::time_point first{};
  bool interrupted = false;
  for (;;) {
    std::vector<pollfd> polls;
    for (const Channel& each : channels) {
      if (each.fd >= 0) polls.push_back({each.fd, POLLIN, 0});
    }
    if (polls.empty()) return;
    poll(polls.data(), polls.size(), 20);
    for (const pollfd& each : polls) {
      if ((each.revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
      if (first == Clock::time_point{}) first = Clock::now();
      for (Channel& channel : channels) {
        if (channel.fd == each.fd) drain(channel);
      }
    }
    const Clock::time_point now = Clock::now();
    if (options.interrupt_after.count() > 0 && !interrupted && first != Clock::time_point{} &&
        now - first > options.interrupt_after) {
      kill(child, SIGINT);
      interrupted = true;
    }
    if (now - start > options.limit) kill(child, SIGKILL);
  }
}

}  // namespace

nlohmann::json Result::json() const {
  auto value = nlohmann::json::parse(out, nullptr, false);
  EXPECT_FALSE(value.is_discarded()) << "not JSON: " << out;
  return value;
}

Result run_backplane(const std::vector<std::string>& arguments, const RunOptions& options) {
  Result run;
  int out[2] = {-1, -1}, err[2] = {-1, -1}, terminal = -1;
  pid_t child = -1;
  if (options.terminal) {
    child = forkpty(&terminal, nullptr, nullptr, nullptr);
  } else {
    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) {
      ADD_FAILURE() << "no pipe";
      return run;
    }
    child = fork();
    if (child == 0) {
      dup2(out[1], STDOUT_FILENO);
      dup2(err[1], STDERR_FILENO);
    }
  }
  if (child == 0) become(arguments, options);
  if (options.terminal) {
    collect(child, {{terminal, &run.out}}, options);
  } else {
    close(out[1]);
    close(err[1]);
    collect(child, {{out[0], &run.out}, {err[0], &run.err}}, options);
  }
  int status = 0;
  waitpid(child, &status, 0);
  run.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  run.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + run.signal;
  return run;
}

}  // namespace backplane::tests
