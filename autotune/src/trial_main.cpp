// SPDX-License-Identifier: Apache-2.0
// backplane-trial ORDER: prepares and runs one variant of one operation (trial_order.h), so that what it does to its
// process happens here. Timers of its own end it where a step hangs; the host has another one. Run by the host only.
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "backplane/autotune/recorder.h"
#include "backplane/host/child_process.h"
#include "backplane/host/registry.h"
#include "gate.h"
#include "trial_order.h"

namespace {

using namespace backplane;
using autotune::Fault;
using autotune::TrialOrder;
using autotune::Verdict;

constexpr int kGateLaunches = 3, kMoreLaunches = 61;
constexpr uint64_t kMoreNs = 2'000'000'000;  // no more of them after this

/// SIGALRM ends the process when the step that begins takes longer. 0: it may.
void begin(const char* stage, uint64_t limit_ns) {
  if (stage != nullptr) host::report_line(std::string("stage ") + stage);
  itimerval timer{};
  timer.it_value.tv_sec = static_cast<time_t>(limit_ns / 1'000'000'000);
  timer.it_value.tv_usec = static_cast<suseconds_t>(limit_ns % 1'000'000'000 / 1000);
  setitimer(ITIMER_REAL, &timer, nullptr);
}

host::Variant find_variant(const host::DevicePtr& device, const bp_op& op, const std::string& name) {
  for (const host::Variant& each : device->variants(op)) {
    if (each.name == name) return each;
  }
  throw Fault{Verdict::failed, "the device of the child process does not offer it"};
}

[[noreturn]] void report(Verdict verdict, std::string reason) {
  std::replace(reason.begin(), reason.end(), '\n', ' ');
  host::report_line("result " + std::string(autotune::name_of(verdict)) + " " + reason);
  ::_exit(0);  // without destructors: that of a queue with failed work may wait for ever
}

[[noreturn]] void run(const TrialOrder& order, const host::DevicePtr& device, const bp_op& op,
                      autotune::Problem& problem, autotune::Rig& rig) {
  using Clock = std::chrono::steady_clock;
  try {
    const host::Variant variant = find_variant(device, op, order.variant);
    begin(autotune::stage::kBuild, order.build_ns);
    const auto& kernel = *new host::Kernel(device->prepare(op, variant.name.c_str()));  // never destroyed
    autotune::check_promises(op, variant, kernel);
    // Waiting has a limit, too, but what hangs in the call itself never gets there.
    begin(autotune::stage::kRun, (kGateLaunches + 1) * order.hang_ns);
    rig.need_workspace(kernel.workspace);
    autotune::check_variant(rig, problem, variant, kernel, {.launches = kGateLaunches});
    const Clock::time_point start = Clock::now();
    for (int i = 0; i < kMoreLaunches && Clock::now() - start < std::chrono::nanoseconds(kMoreNs); ++i) {
      begin(nullptr, 2 * order.hang_ns);
      rig.time(kernel, 1);
    }
    report(Verdict::raced, "");
  } catch (const Fault& fault) {
    report(fault.verdict, fault.reason);
  } catch (const host::Error& error) {
    const Fault fault = autotune::fault_of(error);
    report(fault.verdict, fault.reason);
  }
}

[[noreturn]] void try_out(const TrialOrder& order) {
  begin(autotune::stage::kOpen, 0);
  host::RegistryOptions options = host::RegistryOptions::from_environment();
  options.directories.assign(order.directories.begin(), order.directories.end());
  options.allow = order.allow;
  options.probe = false;  // the host uses these plugins already
  host::Registry registry(std::move(options));
  const host::DevicePtr device = registry.open(order.device);
  const host::DevicePtr oracle = order.oracle.empty() ? nullptr : registry.open(order.oracle);
  autotune::op_from_json(order.op).with_op([&](const bp_op& op) {
    begin(autotune::stage::kOracle, 0);
    autotune::Problem problem(device, oracle, op, order.seed, {});
    problem.expected();
    autotune::Rig rig(device, problem, order.hang_ns);
    run(order, device, op, problem, rig);
  });
  ::_exit(1);  // not reached
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    const TrialOrder order = autotune::trial_order_from_json(argv[1]);
    host::become_child(
        std::chrono::milliseconds((order.build_ns + order.hang_ns + autotune::kTrialSlackNs) / 1'000'000));
    try_out(order);
  } catch (const std::exception& error) {
    report(Verdict::skipped, std::string("risky, and its trial failed: ") + error.what());
  }
}
