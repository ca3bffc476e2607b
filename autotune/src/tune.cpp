// SPDX-License-Identifier: Apache-2.0
// One tuning from the list of variants to the choice: admission, race, the winner's last check, and what is chosen when
// that cannot be finished.
#include <algorithm>

#include "admission.h"
#include "backplane/autotune/race.h"
#include "backplane/host/error.h"
#include "contest.h"
#include "device_course.h"
#include "statistics.h"

namespace backplane::autotune {
namespace {

constexpr int kFinalLaunches = 5;
constexpr double kFinalShare = 0.1;  // of the budget: kept for the last check of the winner

class Tuning {
 public:
  Tuning(const host::DevicePtr& device, const bp_op& op, const Request& request)
      : field_(device, op, request), outcome_(field_.outcome) {
    outcome_.budget_ns = request.budget_ns;
    const host::Support support = device->query(op);
    if (support.verdict != BP_SUPPORT_YES)
      throw host::Error(BP_E_UNSUPPORTED,
                        "[tune] " + device->name() + " does not do this operation: " + support.reason);
    field_.set_problem(request.seed);
    outcome_.checked_by = field_.problem->checked_by();
  }

  Outcome run() {
    admit_candidates(field_);
    choose();
    outcome_.spent_ns = field_.budget.used();
    outcome_.build_ns = field_.budget.excluded_ns();
    return std::move(outcome_);
  }

 private:
  Candidate& row(size_t i) { return field_.row(i); }

  /// Races those that are right until the winner also passes the last check.
  void choose() {
    if (!field_.stopped.empty()) return settle_after_stop(0);
    for (;;) {
      std::vector<size_t> entrants;
      for (size_t i = 0; i < field_.variants.size(); ++i) {
        if (row(i).verdict == Verdict::raced && field_.kernels[i] != nullptr) entrants.push_back(i);  // others are kept
      }
      if (entrants.empty()) return settle_without_race();
      const size_t winner = entrants.size() == 1 ? only(entrants[0]) : race_among(entrants);
      if (field_.stopped.empty() && !is_faulty(row(winner).verdict) && passes_last_check(winner)) return;
      if (!field_.stopped.empty()) return settle_after_stop(winner);
    }
  }
  void settle_without_race() {
    const Verdict of_default = outcome_.candidates.empty() ? Verdict::skipped : row(0).verdict;
    // Not faulty, only not looked at: it is what would run without a tuner.
    const bool usable = of_default == Verdict::over_budget || of_default == Verdict::skipped || is_right(of_default);
    outcome_.chosen = usable && !outcome_.candidates.empty() ? row(0).variant : "";
    outcome_.why = usable ? "nothing could be checked" : "no variant can be used";
    outcome_.decided = false;
  }
  size_t only(size_t i) {
    outcome_.chosen = row(i).variant;
    outcome_.why = field_.variants.size() == 1      ? "the only one"
                   : !field_.request.kept.empty() ? "no other is better by what was measured before"
                                                  : "the only one that was checked and is right";
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
      const bool incumbent = c.variant == field_.request.incumbent;
      contestants.push_back({c.variant, c.workspace, c.determinism, i == entrants[0], incumbent});
      entries.push_back({field_.kernels[i], field_.first_ns[i], 0});
      workspace = std::max(workspace, field_.kernels[i]->workspace);
    }
    DeviceCourse course(*field_.rig, std::move(entries), field_.request, [this] { return field_.budget.clock(); });
    Rules rules;
    field_.tell("race", "", 0, rules.max_rounds);
    rules.seed = field_.request.seed;
    rules.deadline_ns = field_.budget.deadline(1 - kFinalShare);
    Result result;
    try {
      field_.rig->need_workspace(workspace);
      field_.rig->reset(*field_.problem, 0xFF);
      course.warm_up(0, rules.deadline_ns);
      result = race(course, contestants, rules);
    } catch (const Fault& fault) {
      field_.stop(fault.reason);
      result.standings.resize(entrants.size());
      result.why = fault.reason;
    }
    for (size_t k = 0; k < entrants.size(); ++k) record(row(entrants[k]), result.standings[k]);
    if (course.hung()) field_.stop("a variant hung in the race");
    if (course.lost()) field_.stop("the device was lost in the race");
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

  /// Other inputs, more launches.
  bool passes_last_check(size_t winner) {
    Candidate& c = row(winner);
    if (field_.request.inputs.empty()) {
      field_.set_problem(field_.request.seed + 1);
      field_.budget.exclude([&] { field_.problem->expected(); });
    }
    field_.tell("check", c.variant, winner, field_.variants.size());
    try {
      field_.rig->need_workspace(field_.kernels[winner]->workspace);
      field_.rig->distrust();  // other inputs, and a race went over the outputs
      check_variant(*field_.rig, *field_.problem, field_.variants[winner], *field_.kernels[winner],
                    {.launches = kFinalLaunches, .fits = field_.fits_until(field_.budget.deadline(1))});
    } catch (const Fault& fault) {
      if (fault.verdict == Verdict::over_budget) return true;  // it passed the gate, and nothing spoke against it since
      c.verdict = fault.verdict;
      c.reason = fault.reason + " (after the race)";
      field_.recover(winner, fault.verdict);
      field_.kernels[winner] = nullptr;
      return false;
    }
    return true;
  }
  void settle_after_stop(size_t winner) {
    if (outcome_.candidates.empty() || is_faulty(row(0).verdict))
      outcome_.chosen.clear();
    else if (outcome_.chosen.empty() || is_faulty(row(winner).verdict))
      outcome_.chosen = row(0).variant;
    outcome_.why = field_.stopped;
    outcome_.decided = false;
  }

  Field field_;
  Outcome& outcome_;
};

}  // namespace

Outcome tune(const host::DevicePtr& device, const bp_op& op, const Request& request) {
  return Tuning(device, op, request).run();
}

}  // namespace backplane::autotune
