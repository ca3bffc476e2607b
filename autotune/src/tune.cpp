// SPDX-License-Identifier: Apache-2.0
// One tuning from the list of variants to the choice.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <set>

#include "backplane/autotune/key.h"
#include "backplane/autotune/race.h"
#include "backplane/host/error.h"
#include "budget.h"
#include "candidates.h"
#include "contest.h"
#include "device_course.h"
#include "gate.h"
#include "statistics.h"

namespace backplane::autotune {
namespace {

constexpr int kGateLaunches = 3, kFinalLaunches = 5;
constexpr double kHopeless = 5;      // x the best launch so far: not launched any more, and not raced
constexpr double kShortNs = 2e6;     // launches shorter than this are always worth it
constexpr double kLongNs = 2e8;      // one launch of this length is enough to tell
constexpr double kGateShare = 0.5;   // of the budget: candidates not checked by then are not raced
constexpr double kFinalShare = 0.1;  // of the budget: kept for the last check of the winner

class Tuning {
 public:
  Tuning(const host::DevicePtr& device, const bp_op& op, const Request& request)
      : device_(device), op_(op), request_(request), budget_(request) {
    outcome_.budget_ns = request.budget_ns;
    const host::Support support = device->query(op);
    if (support.verdict != BP_SUPPORT_YES)
      throw host::Error(BP_E_UNSUPPORTED,
                        "[tune] " + device->name() + " does not do this operation: " + support.reason);
    budget_.exclude(
        [&] { problem_ = std::make_unique<Problem>(device, request.oracle, op, request.seed, request.inputs); });
    outcome_.checked_by = problem_->checked_by();
  }

  Outcome run() {
    list_candidates();
    try {
      rig_ = std::make_unique<Rig>(device_, *problem_, request_.hang_ns);
    } catch (const Fault& fault) {
      stop("the device cannot be used: " + fault.reason);
    }
    for (size_t i = 0; i < variants_.size(); ++i) admit(i);
    choose();
    outcome_.spent_ns = budget_.used();
    outcome_.build_ns = budget_.excluded_ns();
    return std::move(outcome_);
  }

 private:
  Candidate& row(size_t i) { return outcome_.candidates[i]; }

  Fits fits_until(int64_t end) const {
    return [this, end](double ns) { return budget_.fits(ns, end); };
  }
  /// Nothing more is run on the device.
  void stop(std::string why) {
    if (stopped_.empty()) stopped_ = std::move(why);
  }

  /// The default, the incumbent, then by what is expected of them.
  void list_candidates() {
    variants_ = ordered_variants(device_, op_, request_);
    for (const host::Variant& v : variants_) {
      Candidate& c = outcome_.candidates.emplace_back();
      c.variant = v.name;
      c.is_default = (v.flags & BP_VARIANT_DEFAULT) != 0 && outcome_.candidates.size() == 1;
      c.workspace = v.workspace, c.numeric_notes = v.numeric_notes, c.determinism = v.determinism;
    }
    kernels_.resize(variants_.size());
    first_ns_.resize(variants_.size());
  }

  /// Everything before the race: policy, build, gate.
  void admit(size_t i) {
    const host::Variant& variant = variants_[i];
    Candidate& c = row(i);
    const auto refuse = [&](Verdict verdict, std::string reason) { c.verdict = verdict, c.reason = std::move(reason); };
    if (request_.progress)
      request_.progress({"check", c.variant, i, variants_.size(), budget_.used(), request_.budget_ns});
    if (!stopped_.empty()) return refuse(Verdict::skipped, stopped_);
    if (!names_.insert(variant.name).second) return refuse(Verdict::failed, "is listed twice");
    if (std::string why = forbidden(op_, variant); !why.empty()) return refuse(Verdict::policy, std::move(why));
    if (const auto known = request_.blocked.find(variant.name); known != request_.blocked.end())
      return refuse(Verdict::skipped, "not tried again: " + known->second);
    if (std::string why = unpromising(variant, variants_[0].name, best_ns_, request_); !why.empty())
      return refuse(Verdict::skipped, std::move(why));
    if (budget_.cancelled()) return refuse(Verdict::over_budget, "cancelled before it was checked");
    const bool needed = i == 0 || variant.name == request_.incumbent;
    const int64_t until = budget_.deadline(needed ? 1.0 : kGateShare);
    if (budget_.clock() > until) return refuse(Verdict::over_budget, "no time left to check it");
    if (!needed && budget_.excluded_ns() > request_.build_budget_ns)
      return refuse(Verdict::over_budget, "no time left to build it");
    if ((variant.flags & BP_VARIANT_RISKY) != 0 && !survives(variant, c)) return;
    try {
      build(i);
      gate(i, until);
    } catch (const Fault& fault) {
      refuse(fault.verdict, fault.reason);
      recover(i, fault.verdict);
    } catch (const host::Error& error) {
      const bool lost = error.code() == BP_E_DEVICE_LOST || error.scope() >= BP_SCOPE_DEVICE;
      refuse(lost ? Verdict::device_lost : Verdict::failed, error.what());
      recover(i, c.verdict);
    }
    if (!is_right(c.verdict)) kernels_[i] = nullptr;
  }
  bool survives(const host::Variant& variant, Candidate& c) {
    if (!request_.try_risky) {
      c.verdict = Verdict::skipped, c.reason = "risky, and there is no child process to try it in";
      return false;
    }
    budget_.exclude([&] { c.verdict = request_.try_risky(op_, variant.name, c.reason); });
    return c.verdict == Verdict::raced;
  }

  void build(size_t i) {
    Candidate& c = row(i);
    c.build_ns = budget_.exclude(
        [&] { kernels_[i] = std::make_shared<host::Kernel>(device_->prepare(op_, c.variant.c_str())); });
    check_promises(op_, variants_[i], *kernels_[i]);
    if (c.build_ns > request_.max_build_ns)
      throw Fault{Verdict::slow_build, "took " + std::to_string(c.build_ns / 1'000'000) + " ms to prepare"};
  }

  void gate(size_t i, int64_t until) {
    Candidate& c = row(i);
    budget_.exclude([&] { problem_->expected(); });
    rig_->need_workspace(kernels_[i]->workspace);
    const double hopeless_ns = std::max(kHopeless * best_ns_, kShortNs);
    // Only a device that works in the call builds nothing at the first launch.
    const double first_hopeless_ns = device_->has(BP_DEVICE_SYNCHRONOUS) ? std::max(20 * hopeless_ns, kLongNs)
                                                                         : std::numeric_limits<double>::infinity();
    const auto now = [this] { return budget_.clock(); };
    const auto lazily_built = [&](uint64_t ns) {
      budget_.credit(ns);
      c.build_ns += ns;
    };
    const Effort effort{kGateLaunches, hopeless_ns, first_hopeless_ns, fits_until(until), now, lazily_built};
    const Checked checked = check_variant(*rig_, *problem_, variants_[i], *kernels_[i], effort);
    best_ns_ = std::min(best_ns_, checked.ns);
    c.verdict = checked.hopeless ? Verdict::slow : Verdict::raced;
    if (checked.hopeless) {
      c.reason = "much slower than others when it was checked";
      c.times = {checked.ns, checked.ns, checked.ns, 1};
    }
    c.error = checked.difference.error, c.allowed = checked.difference.allowed;
    first_ns_[i] = checked.ns;
  }

  /// After a failure that others may suffer from.
  void recover(size_t i, Verdict verdict) {
    if (rig_ != nullptr) rig_->distrust();
    if (verdict == Verdict::device_lost) return stop("the device was lost by " + row(i).variant);
    if (verdict != Verdict::hung) return;
    keep_for_ever(kernels_[i]);
    if (i == 0) return stop("the default hung");
    try {
      rig_ = std::make_unique<Rig>(device_, *problem_, request_.hang_ns);
      // Another queue may not help. The default has just been fine; if it is not now, the device is not.
      rig_->need_workspace(kernels_[0] != nullptr ? kernels_[0]->workspace : 0);
      rig_->reset(*problem_, 0xFF);
      if (kernels_[0] != nullptr) rig_->time(*kernels_[0], 1);
    } catch (const Fault& fault) {
      stop("the device does not respond since " + row(i).variant + " hung: " + fault.reason);
    } catch (const host::Error& error) {
      stop("the device does not respond since " + row(i).variant + " hung: " + error.what());
    }
  }

  /// Races those that are right until the winner also passes the last check.
  void choose() {
    if (!stopped_.empty()) return settle_after_stop(0);
    for (;;) {
      std::vector<size_t> entrants;
      for (size_t i = 0; i < variants_.size(); ++i) {
        if (row(i).verdict == Verdict::raced) entrants.push_back(i);
      }
      if (entrants.empty()) return settle_without_race();
      const size_t winner = entrants.size() == 1 ? only(entrants[0]) : race_among(entrants);
      if (stopped_.empty() && !is_faulty(row(winner).verdict) && passes_last_check(winner)) return;
      if (!stopped_.empty()) return settle_after_stop(winner);
    }
  }
  void settle_without_race() {
    const Verdict of_default = outcome_.candidates.empty() ? Verdict::skipped : row(0).verdict;
    // Not faulty, only not looked at: it is what would run without a tuner.
    const bool usable = of_default == Verdict::over_budget || of_default == Verdict::skipped || is_right(of_default);
    outcome_.chosen = usable && !outcome_.candidates.empty() ? row(0).variant : "";
    outcome_.why = usable ? "nothing could be checked" : "no variant gives right results";
    outcome_.decided = false;
  }
  size_t only(size_t i) {
    outcome_.chosen = row(i).variant;
    outcome_.why = variants_.size() == 1 ? "the only one" : "the only one that was checked and is right";
    // Those without time may be better.
    outcome_.decided = std::none_of(outcome_.candidates.begin(), outcome_.candidates.end(),
                                    [](const Candidate& c) { return c.verdict == Verdict::over_budget; });
    return i;
  }

  size_t race_among(const std::vector<size_t>& entrants) {
    std::vector<Contestant> contestants;
    std::vector<DeviceCourse::Entry> entries;
    uint64_t workspace = 0;
    for (size_t i : entrants) {
      const Candidate& c = row(i);
      contestants.push_back({c.variant, c.workspace, c.determinism, i == entrants[0], c.variant == request_.incumbent});
      entries.push_back({kernels_[i], first_ns_[i], 0});
      workspace = std::max(workspace, kernels_[i]->workspace);
    }
    DeviceCourse course(*rig_, std::move(entries), request_, [this] { return budget_.clock(); });
    Rules rules;
    rules.seed = request_.seed;
    rules.deadline_ns = budget_.deadline(1 - kFinalShare);
    Result result;
    try {
      rig_->need_workspace(workspace);
      rig_->reset(*problem_, 0xFF);
      course.warm_up(0, rules.deadline_ns);
      result = race(course, contestants, rules);
    } catch (const Fault& fault) {
      stop(fault.reason);
      result.standings.resize(entrants.size());
      result.why = fault.reason;
    }
    for (size_t k = 0; k < entrants.size(); ++k) record(row(entrants[k]), result.standings[k]);
    if (course.hung()) stop("a variant hung in the race");
    if (course.lost()) stop("the device was lost in the race");
    outcome_.noise = result.noise, outcome_.rounds += result.rounds;
    outcome_.chosen = row(entrants[result.chosen]).variant;
    outcome_.why = result.why, outcome_.decided = result.decided;
    return entrants[result.chosen];
  }
  static void record(Candidate& c, const Standing& standing) {
    c.verdict = standing.verdict, c.reason = standing.reason;
    if (c.verdict == Verdict::over_budget) c.reason = "right, and no time was left to race it";
    c.log_ratio = standing.log_ratio;
    if (standing.times.empty()) return;
    c.times = {quantile(standing.times, 0.5), quantile(standing.times, 0.1), quantile(standing.times, 0.9),
               static_cast<uint32_t>(standing.times.size())};
  }

  /// Other inputs, more launches. Where there is no time for it, the winner has to be the default or the incumbent.
  bool passes_last_check(size_t winner) {
    Candidate& c = row(winner);
    if (request_.inputs.empty()) {
      budget_.exclude([&] {
        problem_ = std::make_unique<Problem>(device_, request_.oracle, op_, request_.seed + 1, request_.inputs);
        problem_->expected();
      });
    }
    try {
      rig_->need_workspace(kernels_[winner]->workspace);
      rig_->distrust();  // other inputs, and a race went over the outputs
      check_variant(*rig_, *problem_, variants_[winner], *kernels_[winner],
                    {.launches = kFinalLaunches, .fits = fits_until(budget_.deadline(1))});
    } catch (const Fault& fault) {
      if (fault.verdict == Verdict::over_budget) return true;  // it passed the gate, and nothing spoke against it since
      c.verdict = fault.verdict;
      c.reason = fault.reason + " (after the race)";
      recover(winner, fault.verdict);
      kernels_[winner] = nullptr;
      return false;
    }
    return true;
  }
  void settle_after_stop(size_t winner) {
    if (outcome_.candidates.empty() || is_faulty(row(0).verdict))
      outcome_.chosen.clear();
    else if (outcome_.chosen.empty() || is_faulty(row(winner).verdict))
      outcome_.chosen = row(0).variant;
    outcome_.why = stopped_;
    outcome_.decided = false;
  }

  host::DevicePtr device_;
  const bp_op& op_;
  const Request& request_;
  Budget budget_;
  std::unique_ptr<Problem> problem_;
  std::vector<host::Variant> variants_;
  std::vector<std::shared_ptr<host::Kernel>> kernels_;  // of those that are right
  std::vector<double> first_ns_;
  double best_ns_ = std::numeric_limits<double>::infinity();  // of a launch in the gate
  std::unique_ptr<Rig> rig_;                                  // after the kernels: its queue ends before they do
  std::set<std::string> names_;
  std::string stopped_;
  Outcome outcome_;
};

}  // namespace

Outcome tune(const host::DevicePtr& device, const bp_op& op, const Request& request) {
  return Tuning(device, op, request).run();
}

}  // namespace backplane::autotune
