// SPDX-License-Identifier: Apache-2.0
// backplane-probe PLUGIN NAME TIMEOUT_MS: loads one plugin, asks it everything, and writes what it learnt to descriptor
// 3: a line "stage NAME" before each step, so that a crash has a place, and at the end "result JSON". Run by the host
// only.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string>

#include "backplane/host/reasons.h"
#include "loader.h"
#include "probe_report.h"

namespace {

using backplane::host::ProbeResult;

constexpr int kReportFd = 3;

bool write_line(const std::string& line) {
  std::string text = line + "\n";
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

void limit(int resource, rlim_t most) {
  rlimit current{};
  if (::getrlimit(static_cast<__rlimit_resource_t>(resource), &current) != 0) return;
  current.rlim_cur = std::min(current.rlim_cur, most);
  ::setrlimit(static_cast<__rlimit_resource_t>(resource), &current);
}

void set_limits(unsigned long timeout_ms) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a host that dies takes its probe along
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_CPU, timeout_ms / 1000 * 8 + 10);  // several threads may well be busy
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  // Private writable memory, not address space: GPU drivers reserve terabytes of addresses that cost nothing.
  const auto half = static_cast<rlim_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE)) / 2;
  limit(RLIMIT_DATA, std::max(half, rlim_t{8} << 30));
#endif
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  set_limits(std::strtoul(argv[3], nullptr, 10));
  ::fcntl(kReportFd, F_SETFD, FD_CLOEXEC);
  ProbeResult result;
  try {
    // No blob cache: a probe leaves no traces.
    const auto plugin = backplane::host::load_plugin(
        argv[1], argv[2], {}, [](const char* stage) { write_line(std::string("stage ") + stage); });
    result.version = plugin->version;
    result.build_id = plugin->build_id;
    result.description = plugin->description;
    result.devices = plugin->devices;
  } catch (const backplane::host::Rejection& why) {
    result.code = why.code();
    result.reason = why.reason();
  }
  const bool delivered = write_line("result " + to_json(result));
  ::_exit(delivered ? 0 : backplane::host::kProbeUndelivered);  // without exit handlers: drivers hang in theirs, and
                                                                // nothing here needs them
}
