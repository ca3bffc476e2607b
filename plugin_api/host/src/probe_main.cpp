// SPDX-License-Identifier: Apache-2.0
// backplane-probe PLUGIN NAME TIMEOUT_MS: loads one plugin, asks it everything, and writes what it learnt to descriptor
// 3: a line "stage NAME" before each step, so that a crash has a place, and at the end "result JSON". Run by the host
// only.
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <string>

#include "backplane/host/child_process.h"
#include "backplane/host/reasons.h"
#include "loader.h"
#include "probe_report.h"

namespace host = backplane::host;

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  host::become_child(std::chrono::milliseconds(std::strtoul(argv[3], nullptr, 10)));
  host::ProbeResult result;
  try {
    // No blob cache: a probe leaves no traces.
    const auto plugin = host::load_plugin(
        argv[1], argv[2], {}, [](const char* stage) { host::report_line(std::string("stage ") + stage); });
    result.version = plugin->version;
    result.build_id = plugin->build_id;
    result.description = plugin->description;
    result.devices = plugin->devices;
  } catch (const host::Rejection& why) {
    result.code = why.code();
    result.reason = why.reason();
  }
  const bool delivered = host::report_line("result " + to_json(result));
  ::_exit(delivered ? 0 : host::kProbeUndelivered);  // without exit handlers: drivers hang in theirs
}
