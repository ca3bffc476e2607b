// SPDX-License-Identifier: Apache-2.0
// The race between plugins: the same operation on each, turns taken, by the host's clock, since clocks of different
// drivers cannot be compared. What was chosen on each device passed its checks when it was tuned; it is not checked
// again.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <memory>
#include <numeric>
#include <random>
#include <thread>

#include "backplane/autotune/placement.h"
#include "backplane/host/error.h"
#include "rig.h"
#include "statistics.h"

namespace backplane::autotune {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kSampleNs = 500'000;
constexpr uint32_t kMaxLaunches = 4096;
constexpr int kMostRounds = 40, kLeastRounds = 5, kCopies = 7;
constexpr double kZ = 1.96;
// Worker threads of some runtimes (OpenMP) spin for a while after a launch and would slow whoever comes next.
constexpr auto kRest = std::chrono::milliseconds(2);

double since(Clock::time_point start) {
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count();
}

class Runner {
 public:
  Runner(const Entrant& entrant, const Problem& problem)
      : device_(entrant.device), rig_(entrant.device, problem, uint64_t{10'000'000'000}),
        kernel_(entrant.device->prepare(problem.op(), entrant.variant.empty() ? nullptr : entrant.variant.c_str())) {
    rig_.need_workspace(kernel_.workspace);
    rig_.reset(problem, 0xFF);
    time(1);  // drivers build at the first launch
    while (launches_ < kMaxLaunches && time(launches_) * launches_ < kSampleNs) launches_ *= 2;
  }

  const std::string& variant() const { return kernel_.variant; }
  const std::vector<double>& logs() const { return logs_; }
  void round() {
    std::this_thread::sleep_for(kRest);
    time(1);  // wakes its threads, and the caches are its own again
    logs_.push_back(std::log(time(launches_)));
  }

  /// The problem's inputs to the device and its outputs back, between ordinary memory and the device's.
  double copy_ns(const Problem& problem) {
    host::Queue queue = device_->create_queue();
    std::vector<host::Buffer> in, out;
    std::vector<Memory> results;
    for (const Memory& each : problem.inputs()) in.push_back(device_->alloc(std::max<size_t>(each.bytes.size(), 1)));
    for (uint32_t j = 0; j < problem.op().num_outputs; ++j) {
      results.emplace_back(problem.op().outputs[j]);
      out.push_back(device_->alloc(std::max<size_t>(results[j].bytes.size(), 1)));
    }
    std::vector<double> times;
    for (int i = 0; i <= kCopies; ++i) {
      const auto start = Clock::now();
      for (size_t k = 0; k < in.size(); ++k) {
        const std::vector<std::byte>& bytes = problem.inputs()[k].bytes;
        if (!bytes.empty()) device_->upload(queue, {in[k].get(), 0}, bytes.data(), bytes.size());
      }
      for (size_t k = 0; k < out.size(); ++k) {
        std::vector<std::byte>& bytes = results[k].bytes;
        if (!bytes.empty()) device_->download(queue, bytes.data(), {out[k].get(), 0}, bytes.size());
      }
      device_->finish(queue);
      if (i > 0) times.push_back(since(start));  // the first touches the memory
    }
    return quantile(times, 0.5);
  }

 private:
  /// Of one launch.
  double time(uint32_t launches) {
    const auto start = Clock::now();
    for (uint32_t i = 0; i < launches; ++i) rig_.enqueue(kernel_);
    rig_.wait();
    return since(start) / launches;
  }

  host::DevicePtr device_;
  Rig rig_;
  host::Kernel kernel_;
  uint32_t launches_ = 1;
  std::vector<double> logs_;
};

void run_rounds(std::vector<std::unique_ptr<Runner>>& runners, const ArbitrationOptions& options) {
  std::mt19937_64 engine(options.seed);
  std::vector<size_t> order(runners.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto start = Clock::now();
  for (int round = 0; round < kMostRounds; ++round) {
    if (options.cancelled != nullptr && options.cancelled->load()) return;
    if (round >= kLeastRounds && since(start) > static_cast<double>(options.budget_ns)) return;
    std::ranges::shuffle(order, engine);
    for (const size_t i : order) runners[i]->round();
  }
}

Interval compared(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> ratios(a.size());
  for (size_t r = 0; r < a.size(); ++r) ratios[r] = a[r] - b[r];
  return trimmed_interval(ratios, kZ);
}

}  // namespace

std::vector<Placement> arbitrate(const std::vector<Entrant>& entrants, const bp_op& op,
                                 const ArbitrationOptions& options) {
  try {
    const Problem problem(entrants.at(0).device, options.oracle, op, options.seed, {});
    std::vector<std::unique_ptr<Runner>> runners;
    for (const Entrant& each : entrants) runners.push_back(std::make_unique<Runner>(each, problem));
    run_rounds(runners, options);
    std::vector<Placement> rows;
    for (size_t i = 0; i < runners.size() && !runners[0]->logs().empty(); ++i) {
      Placement& row = rows.emplace_back();
      row.key = Key::of(op), row.machine = machine_of(entrants[i].device->info());
      row.device = Fingerprint::of(*entrants[i].device), row.variant = runners[i]->variant();
      row.run_ns = std::exp(quantile(runners[i]->logs(), 0.5)), row.move_ns = runners[i]->copy_ns(problem);
      row.log_ratio = compared(runners[i]->logs(), runners[0]->logs());
      row.calls = 1, row.written = std::time(nullptr);
    }
    return rows;
  } catch (const Fault& fault) {
    throw host::Error(BP_E_INTERNAL, "[arbitrate] " + fault.reason + "; backplane tune checks each device by itself");
  }
}

}  // namespace backplane::autotune
