// SPDX-License-Identifier: Apache-2.0
#include "backplane/autotune/trial.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <utility>

#include "backplane/autotune/recorder.h"
#include "backplane/host/child_process.h"
#include "backplane/host/text.h"
#include "trial_order.h"

namespace backplane::autotune {
namespace {

struct StageText {
  std::string_view stage;
  const char* text;
};
constexpr StageText kStages[] = {
    {stage::kOpen, "while the device was opened"},
    {stage::kOracle, "while right results were computed"},
    {stage::kBuild, "while it was prepared"},
    {stage::kRun, "while it ran"},
};
const char* text_of(std::string_view stage) {
  for (const StageText& each : kStages) {
    if (each.stage == stage) return each.text;
  }
  return "before it began";
}

struct Judgement {
  Verdict verdict;
  std::string reason;
};

/// `cut`: the child had less time than its steps may take.
Judgement judge(const host::ChildRun& child, const TrialOrder& order, bool cut) {
  if (!child.trouble.empty()) return {Verdict::skipped, "risky, and " + child.trouble};
  std::string stage;
  for (const std::string& line : host::split(child.report, '\n')) {
    if (line.starts_with("stage ")) stage = line.substr(6);
    if (!line.starts_with("result ")) continue;
    const size_t end = line.find(' ', 7);
    return {verdict_of(line.substr(7, end - 7)),
            end != std::string::npos ? host::clean_text(line.substr(end + 1), 400) : ""};
  }
  const std::string where = std::string(text_of(stage)) + " in a child process";
  if (child.timed_out && cut) return {Verdict::over_budget, "no time was left " + where};
  const bool its_own = stage == stage::kBuild || stage == stage::kRun;
  if (!its_own) return {Verdict::skipped, "risky, and its trial ended " + where};
  if (child.timed_out || child.signal == SIGALRM) {
    const bool building = stage == stage::kBuild;
    const uint64_t ms = (building ? order.build_ns : order.hang_ns) / 1'000'000;
    return {building ? Verdict::slow_build : Verdict::hung,
            "did not end within " + std::to_string(ms) + " ms " + where};
  }
  if (child.signal != 0) return {Verdict::crashed, "crashed (" + host::signal_text(child.signal) + ") " + where};
  return {Verdict::crashed, "ended its process with exit code " + std::to_string(child.exit_code) + " " + where};
}

TrialOrder order_for(const host::Device& device, const host::Device* oracle, const bp_op& op,
                     const std::string& variant, const TrialOptions& options) {
  TrialOrder order;
  const auto add = [&](const host::Device& each) {
    order.directories.push_back(each.plugin_path().parent_path().string());
    order.allow += (order.allow.empty() ? "" : ",") + each.plugin_name();
  };
  add(device);
  order.device = device.name();
  if (oracle != nullptr) {
    add(*oracle);
    order.oracle = oracle->name();
  }
  order.op = op_to_json(host::KernelOp::of(op));
  order.variant = variant;
  order.build_ns = options.build_ns, order.hang_ns = options.hang_ns, order.seed = options.seed;
  return order;
}

}  // namespace

std::string to_json(const TrialOrder& order) {
  return nlohmann::json{{"directories", order.directories}, {"allow", order.allow},       {"device", order.device},
                        {"oracle", order.oracle},           {"op", order.op},             {"variant", order.variant},
                        {"build_ns", order.build_ns},       {"hang_ns", order.hang_ns},   {"seed", order.seed}}
      .dump();
}

TrialOrder trial_order_from_json(const std::string& text) {
  const nlohmann::json json = nlohmann::json::parse(text);
  TrialOrder order;
  json.at("directories").get_to(order.directories), json.at("allow").get_to(order.allow);
  json.at("device").get_to(order.device), json.at("oracle").get_to(order.oracle);
  json.at("op").get_to(order.op), json.at("variant").get_to(order.variant);
  json.at("build_ns").get_to(order.build_ns), json.at("hang_ns").get_to(order.hang_ns);
  json.at("seed").get_to(order.seed);
  return order;
}

TryRisky trial_in_child(host::DevicePtr device, host::DevicePtr oracle, TrialOptions options) {
  return [device = std::move(device), oracle = std::move(oracle), options = std::move(options)](
             const bp_op& op, const std::string& variant, uint64_t limit_ns, std::string& reason) {
    if (op.code == BP_OP_CUSTOM) {
      reason = "risky, and an operation of a plugin's own cannot be described to a child process";
      return Verdict::skipped;
    }
    host::ChildRequest request;
    request.executable = options.executable.empty() ? host::find_helper("backplane-trial") : options.executable;
    if (request.executable.empty()) {
      reason = "risky, and backplane-trial is not installed beside this library";
      return Verdict::skipped;
    }
    const TrialOrder order = order_for(*device, oracle.get(), op, variant, options);
    request.arguments = {to_json(order)};
    const uint64_t steps_ns = options.build_ns + options.hang_ns + kTrialSlackNs;
    request.limit = std::chrono::milliseconds(std::min(steps_ns, limit_ns) / 1'000'000);
    Judgement judgement = judge(host::run_child(request), order, limit_ns < steps_ns);
    reason = std::move(judgement.reason);
    return judgement.verdict;
  };
}

}  // namespace backplane::autotune
