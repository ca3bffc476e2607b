// SPDX-License-Identifier: Apache-2.0
#include "confirmation.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace backplane::autotune {
namespace {

constexpr double kFinest = 0.005;               // of a gain: closer to the margin it does not matter
constexpr double kLeastMore = 1.2, kMuch = 20;  // x the time

class Confirmation {
 public:
  Confirmation(Rounds& rounds, const std::vector<Contestant>& contestants, const Rules& rules, const Rivals& rivals)
      : rounds_(rounds), contestants_(contestants), rules_(rules), rivals_(rivals), margin_(std::log1p(rules.margin)) {
    for (size_t contestant : {rivals.present, rivals.pick, rivals.leader, rivals.baseline}) {
      if (std::ranges::find(lanes_, contestant, &Lane::contestant) == lanes_.end())
        lanes_.push_back({contestant, {}, true, true});
    }
    lanes_.push_back({rivals.baseline, {}, true, true});  // the twin
    const double fit = rounds_.aim(lanes_.size() * rules.confirm_rounds, rules.deadline_ns) / lanes_.size();
    planned_ = std::clamp(fit, 1.0 * rules.confirm_rounds, 1.0 * rules.max_confirm_rounds);
  }

  void run() {
    const size_t present = rivals_.present;
    bool time_left = true, settled = false;
    size_t winner = present;
    const auto planned = static_cast<uint32_t>(planned_);
    for (uint32_t r = 1; r <= planned && time_left && !settled; ++r) {
      if (r % rules_.confirm_block == 1) rounds_.tell("confirm", r - 1, planned);
      time_left = rounds_.round(lanes_, rules_.deadline_ns);
      for (const Lane& lane : lanes_) {
        if (!rounds_.alive(lane.contestant)) return keep_without(lane.contestant);
      }
      if (time_left && r % rules_.confirm_block != 0) continue;
      const Interval of_pick = gain(rivals_.pick, present), of_leader = gain(rivals_.leader, present);
      winner = accepts(of_pick) ? rivals_.pick : accepts(of_leader) ? rivals_.leader : present;
      settled = accepts(of_pick) || (of_pick.high < margin_ && (accepts(of_leader) || of_leader.high < margin_));
    }
    conclude(winner, settled, time_left);
  }

 private:
  Interval gain(size_t of, size_t over) const {
    const double z = rivals_.has_incumbent ? rules_.incumbent_z : rules_.confirm_z;
    return trimmed_interval(ratios(all_of(lanes_, over), all_of(lanes_, of)), z);
  }
  Interval twin() const {
    return trimmed_interval(ratios(lanes_.back(), lane_of(lanes_, rivals_.baseline)), 1.96);
  }
  /// Looking again and again finds something in the end: early looks have to be surer (as O'Brien and Fleming, "A
  /// multiple testing procedure for clinical trials", 1979, only less so).
  double sureness() const {
    const auto looks = static_cast<double>(lanes_[0].logs.size());
    return std::pow(planned_ / looks, 0.25);
  }
  /// What the twin shows is what a difference can come from without being one.
  bool accepts(const Interval& ci) const {
    const double low = ci.mean - ci.half_width() * sureness();
    return low > (rivals_.has_incumbent ? margin_ : 0) && ci.mean > margin_ && ci.mean > 2 * std::fabs(twin().mean);
  }

  /// For an interval narrow enough to tell the gain from the margin: its width shrinks with the root of the time.
  std::string time_needed(const Interval& won) const {
    const double widths = won.half_width() / std::max(std::fabs(won.mean - margin_), kFinest);
    if (!(widths * widths < kMuch)) return "much more of it is needed in this noise";
    char text[64];
    std::snprintf(text, sizeof text, "%.1f x as much of it may do", std::max(widths * widths, kLeastMore));
    return text;
  }
  void keep_without(size_t failed) {
    rounds_.keep(failed == rivals_.present ? rivals_.baseline : rivals_.present,
                 contestants_[failed].name + " failed in the race", false);
  }

  void conclude(size_t winner, bool settled, bool time_left) {
    const size_t present = rivals_.present, baseline = rivals_.baseline;
    const Interval of_twin = twin(), won = gain(winner == present ? rivals_.leader : winner, present);
    Interval& noise = rounds_.result.noise;
    if (of_twin.half_width() < noise.half_width()) noise = of_twin;
    if (winner == present && (of_twin.low > rules_.delta || of_twin.high < -rules_.delta)) {
      return rounds_.keep(
          present, "the default and its twin differ by " + percent(of_twin.mean) + ": too noisy to trust", false);
    }
    const Interval of_baseline = winner == baseline ? Interval{} : gain(baseline, winner);
    if (of_baseline.low > 0 && of_baseline.mean > margin_ / 2)
      return rounds_.keep(baseline, percent(of_baseline.mean) + " faster than " + contestants_[winner].name, true);
    if (winner != present) {
      return rounds_.keep(
          winner, percent(-won.mean) + " less time than " + contestants_[present].name + " on fresh samples", true);
    }
    if (settled) return rounds_.keep(present, "no other is more than " + percent(margin_) + " faster", true);
    if (time_left) return rounds_.keep(present, "no other is provably faster in this noise", true);
    if (won.high < std::log1p(rules_.negligible))
      return rounds_.keep(present, "no other is more than " + percent(won.high) + " faster", true);
    rounds_.keep(present, "no time to confirm a faster one; " + time_needed(won), false);
  }

  Rounds& rounds_;
  const std::vector<Contestant>& contestants_;
  const Rules& rules_;
  const Rivals rivals_;
  const double margin_;
  double planned_ = 0;  ///< rounds
  std::vector<Lane> lanes_;
};

}  // namespace

void confirm(Rounds& rounds, const std::vector<Contestant>& contestants, const Rules& rules, const Rivals& rivals) {
  Confirmation(rounds, contestants, rules, rivals).run();
}

}  // namespace backplane::autotune
