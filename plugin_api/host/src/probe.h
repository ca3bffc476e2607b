// SPDX-License-Identifier: Apache-2.0
// Load a plugin in a child process first, under a time limit, so that one that crashes, hangs or ends its process does
// not take this one along.
//
// Stages: run backplane-probe (child_process.h) -> read its report -> tell crash, exit, hang and garbage apart. A
// plugin that behaves is loaded here afterwards.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "probe_report.h"

namespace backplane::host {

struct ProbeRequest {
  std::filesystem::path executable;  ///< empty: backplane-probe beside this library
  std::filesystem::path plugin;      ///< absolute
  std::string name;
  unsigned timeout_ms = 10000;
};

/// Nothing when the child process could not be started at all; the log then says why.
std::optional<ProbeResult> run_probe(const ProbeRequest& request);

/// backplane-probe of this installation; empty when there is none.
std::filesystem::path find_probe_executable();

/// Number of child processes started so far by this process.
unsigned probes_run();

}  // namespace backplane::host
