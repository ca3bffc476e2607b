// SPDX-License-Identifier: Apache-2.0
#include "probe.h"

#include <atomic>
#include <chrono>
#include <string_view>

#include "backplane/host/child_process.h"
#include "backplane/host/log.h"
#include "backplane/host/text.h"

namespace backplane::host {
namespace {

namespace fs = std::filesystem;

std::atomic<unsigned> g_probes{0};

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

ProbeResult failure(const ChildRun& child, std::string_view code, std::string what) {
  ProbeResult result;
  result.code = std::string(code);
  result.reason = std::move(what);
  if (const std::string tail = clean_text(trim(child.output), 400); !tail.empty()) {
    result.reason += "; it printed: " + tail;
  }
  return result;
}

/// The report is lines "stage NAME", the last of which may be "result JSON".
ProbeResult judge(const ChildRun& child, unsigned timeout_ms) {
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
  if (child.signal != 0) {
    return failure(child, "crashes", "it crashed (" + signal_text(child.signal) + ") " + where);
  }
  if (child.exit_code == kProbeUndelivered) {
    return failure(child, "garbled-report", "it closed the descriptor through which its probe reports");
  }
  if (child.exit_code >= 0 && !stage.empty()) {
    return failure(child, "exits",
                   "it ended the process with exit code " + std::to_string(child.exit_code) + " " + where);
  }
  return failure(child, "garbled-report", "the probe ended without a report " + where);
}

}  // namespace

unsigned probes_run() { return g_probes.load(); }

fs::path find_probe_executable() { return find_helper("backplane-probe"); }

std::optional<ProbeResult> run_probe(const ProbeRequest& request) {
  const fs::path executable = request.executable.empty() ? find_probe_executable() : request.executable;
  const auto give_up = [&](const std::string& why) {
    log(BP_LOG_WARNING, "plugins",
        request.plugin.string() + " is loaded without being probed in a child process: " + why);
    return std::nullopt;
  };
  if (executable.empty()) return give_up("backplane-probe is not installed beside this library");
  const ChildRun child = run_child({executable,
                                    {request.plugin.string(), request.name, std::to_string(request.timeout_ms)},
                                    std::chrono::milliseconds(request.timeout_ms)});
  if (!child.trouble.empty()) return give_up(child.trouble);
  ++g_probes;
  return judge(child, request.timeout_ms);
}

}  // namespace backplane::host
