// SPDX-License-Identifier: Apache-2.0
#include "repeat.h"

#include <iostream>
#include <map>

#include <nlohmann/json.hpp>

#include "backplane/host/text.h"
#include "measure.h"
#include "oracle_race.h"
#include "shapes.h"

namespace backplane::bench {
namespace {

using Json = nlohmann::ordered_json;

/// Milliseconds of the budget that each stage took, from what a tuning tells of its progress: "check" is the gate, and
/// after the race the winner's last check.
class Split {
 public:
  void add(const autotune::Progress& progress) {
    const double spent_ms = static_cast<double>(progress.spent_ns) * 1e-6;
    ms_[stage_] += spent_ms - spent_ms_;
    stage_ = progress.stage, spent_ms_ = spent_ms;
  }
  Json end(double spent_ms) {
    ms_[stage_] += spent_ms - spent_ms_;
    Json split = Json::object();
    for (const auto& [stage, ms] : ms_) split[stage] = ms;
    return split;
  }

 private:
  std::string stage_ = "check";
  double spent_ms_ = 0;
  std::map<std::string, double> ms_;
};

Json repeat(const Case& c, autotune::Tuner& tuner, int times) {
  const host::KernelOp op = c.kernel_op();
  const auto operands = std::make_shared<Operands>(tuner.device(), op, suitable_values(op));
  std::vector<double> regrets, self_regrets, best_us;
  std::map<std::string, int> chosen, best;
  Json runs = Json::array();
  std::string before;  // named best by the oracle's last race
  for (int i = 0; i < times; ++i) {
    autotune::Tuner::Watch watch;
    watch.seed = static_cast<uint64_t>(i) + 1, watch.keep = false;
    Split split;
    watch.progress = [&](const autotune::Progress& progress) { split.add(progress); };
    const autotune::Outcome outcome =
        operands->op().with_op([&](const bp_op& raw) { return tuner.measure(raw, watch); });
    std::vector<std::string> named = {outcome.chosen}, wrong;
    for (const autotune::Candidate& each : outcome.candidates) {
      if (is_faulty(each.verdict) || each.verdict == autotune::Verdict::policy) wrong.push_back(each.variant);
      if (each.is_default) named.push_back(each.variant);
    }
    if (!before.empty()) named.push_back(before);
    const OracleResult right = race_all(operands, named, wrong);
    ++chosen[outcome.chosen], ++best[right.best];
    regrets.push_back(right.ratio.at(outcome.chosen)), best_us.push_back(right.best_ns * 1e-3);
    if (!before.empty()) self_regrets.push_back(right.ratio.at(before));
    const double spent_ms = static_cast<double>(outcome.spent_ns) * 1e-6;
    runs.push_back({{"chosen", outcome.chosen}, {"regret", regrets.back()}, {"why", outcome.why},
                    {"best", right.best}, {"best_us", best_us.back()},
                    {"spent_ms", spent_ms}, {"split_ms", split.end(spent_ms)}, {"noise", outcome.noise.half_width()}});
    if (!before.empty()) runs.back()["self_regret"] = self_regrets.back();
    before = right.best;
  }
  return {{"case", c.name},
          {"regret_median", quantile(regrets, 0.5)},
          {"regret_most", quantile(regrets, 1)},
          {"self_regret_median", quantile(self_regrets, 0.5)},
          {"self_regret_most", quantile(self_regrets, 1)},
          {"best_us", {quantile(best_us, 0), quantile(best_us, 0.5), quantile(best_us, 1)}},
          {"chosen", chosen},
          {"best", best},
          {"runs", runs}};
}

}  // namespace

int repeat_cases(autotune::Tuner& tuner, const std::string& cases, int times) {
  for (const std::string& name : host::split(cases, ';')) {
    for (const Case& c : sweep_cases()) {
      if (c.name == name) std::cout << repeat(c, tuner, times).dump() << std::endl;
    }
  }
  return 0;
}

}  // namespace backplane::bench
