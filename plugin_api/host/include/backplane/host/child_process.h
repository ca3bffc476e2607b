// SPDX-License-Identifier: Apache-2.0
// Run a helper of this installation in a child process, where what it does may crash, hang or end the process.
//
// Stages: spawn (own process group, no descriptors of the host's, stdio captured) -> collect its report and the tail of
// what it prints -> at the time limit, or when it is not wanted any more, kill the group -> say how it ended. It protects against accidents, not against
// attackers: the child has the rights of this process.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace backplane::host {

struct ChildRequest {
  std::filesystem::path executable;
  std::vector<std::string> arguments;  ///< without the program's name
  std::optional<std::chrono::milliseconds> limit = std::chrono::seconds(10);  ///< nothing: as long as it takes
  std::filesystem::path output_file;  ///< where all that it prints goes, instead of ChildRun::output
  const std::atomic<bool>* cancelled = nullptr;  ///< looked at every half second
};

struct ChildRun {
  std::string trouble;    ///< why it could not be started at all; empty: it ran
  std::string report;     ///< lines that it wrote with report_line()
  std::string output;     ///< the tail of what it printed
  bool timed_out = false;
  bool cancelled = false;
  int signal = 0;         ///< that ended it; 0: none
  int exit_code = -1;     ///< -1: not known
};
ChildRun run_child(const ChildRequest& request);

/// "SIGSEGV"
std::string signal_text(int signal);

/// A helper beside this library ("backplane-probe"); empty when it is not installed.
std::filesystem::path find_helper(const std::string& name);

/// For the child: dies with its host, leaves no core, and has limits of processor time and memory.
void become_child(std::chrono::milliseconds time);
/// For the child: one line to the host. False when it does not arrive.
bool report_line(const std::string& line);

}  // namespace backplane::host
