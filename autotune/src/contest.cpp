// SPDX-License-Identifier: Apache-2.0
#include "contest.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>

#include "confirmation.h"
#include "lanes.h"
#include "rounds.h"
#include "statistics.h"

namespace backplane::autotune {
namespace {

constexpr int kMostLooks = 3;
// Of what the twin shows, either way: who left such a race left by chance. On a busy machine one kept a default that
// takes 1.7 times as long as another (docs/results/2026-11-22-tuning.md).
constexpr double kBlind = 0.25;
constexpr size_t kLooksWorth = 64;  // samples: first looks and their calibration leave most of the time to the race

class Race {
 public:
  Race(Course& course, const std::vector<Contestant>& contestants, const Rules& rules)
      : course_(course), contestants_(contestants), rules_(rules), rounds_(course, contestants.size(), rules.seed),
        result_(rounds_.result) {
    for (size_t i = 0; i < contestants.size(); ++i) {
      if (contestants[i].is_baseline) baseline_ = i;
      if (contestants[i].is_incumbent) present_ = i, has_incumbent_ = true;
    }
    if (!has_incumbent_) present_ = baseline_;
    deadline_ = after(rules.looks_share);
    rounds_.aim(kLooksWorth * contestants.size(), deadline_);
  }

  Result run() {
    if (!first_looks()) return keep_present("no time for a first look at all variants", false);
    open_lanes();
    eliminate_losers();
    summarise();
    if (!rounds_.alive(present_)) return keep_present("", false);
    if (result_.rounds < 3) return keep_present("no time for a race", false);
    size_t pick = pick_of();
    if (pick == present_ && result_.rounds >= rules_.min_rounds) pick = challenger();
    if (pick == present_ && contestants_.size() > 1 && result_.noise.half_width() > kBlind)
      return keep_present(
          "the default's twin is uncertain by " + percent(result_.noise.half_width()) + ": too noisy to tell", false);
    if (pick == present_) return keep_present(why_kept(), result_.rounds >= rules_.min_rounds);
    confirm(rounds_, contestants_, rules_, {present_, pick, lanes_[leader_].contestant, baseline_, has_incumbent_});
    return std::move(result_);
  }

 private:
  /// When that share of the time left has passed.
  int64_t after(double share) {
    const int64_t now = course_.now_ns();
    // A deadline far beyond any clock must not overflow.
    const double left = static_cast<double>(rules_.deadline_ns) - static_cast<double>(now);
    return left > 1e17 ? rules_.deadline_ns : now + static_cast<int64_t>(left * share);
  }

  /// Two samples of each in two passes, and a third of those that would leave; the best one counts, so that neither a
  /// cold start nor interruptions throw anybody out.
  bool first_looks() {
    std::vector<double> looks(contestants_.size(), std::numeric_limits<double>::infinity());
    const auto least = [&] { return *std::min_element(looks.begin(), looks.end()); };
    for (int pass = 0; pass < kMostLooks; ++pass) {
      const double enough = pass < 2 ? 0 : rules_.hopeless * least();
      for (size_t i = 0; i < contestants_.size(); ++i) {
        if (!rounds_.alive(i) || looks[i] <= enough) continue;
        double ns = 0;
        if (!rounds_.take(i, deadline_, ns)) return false;
        if (ns > 0) looks[i] = std::min(looks[i], ns);
      }
    }
    const double best = least();
    for (size_t i = 0; i < contestants_.size(); ++i) {
      Standing& standing = result_.standings[i];
      if (!rounds_.alive(i)) continue;
      const bool immune = i == baseline_ || i == present_;
      standing.verdict = immune || looks[i] <= rules_.hopeless * best ? Verdict::raced : Verdict::slow;
      char text[64];
      std::snprintf(text, sizeof text, "%.1f x the best at first sight", looks[i] / best);
      if (standing.verdict == Verdict::slow) standing.reason = text;
    }
    return true;
  }

  void open_lanes() {
    for (size_t i = 0; i < contestants_.size(); ++i) {
      if (result_.standings[i].verdict == Verdict::raced)
        lanes_.push_back({i, {}, true, i == baseline_ || i == present_});
    }
    twin_ = lanes_.size();
    lanes_.push_back({baseline_, {}, rounds_.alive(baseline_), true});
    deadline_ = after(rules_.race_share);
    rounds_.aim(lanes_.size() * rules_.wanted_rounds, deadline_);
  }

  void eliminate_losers() {
    const double z = normal_quantile(rules_.error_rate / static_cast<double>(3 * lanes_.size()));
    for (uint32_t r = 1; r <= rules_.max_rounds; ++r) {
      if (r > rules_.min_rounds && live(lanes_).size() < 3) return;  // the baseline and its twin are alone
      if (!rounds_.round(lanes_, deadline_)) return;
      if (live(lanes_).empty()) return;  // all have failed
      course_.on_round("race", r, rules_.max_rounds);
      if (r >= 3 && (r <= 16 || r % 4 == 0) && judge(r, z)) return;
    }
  }

  /// Removes losers; true when nothing is left to find out.
  bool judge(uint32_t r, double z) {
    leader_ = leader_of(lanes_, twin_);
    const Lane leader = all_of(lanes_, lanes_[leader_].contestant);
    bool settled = true;
    std::vector<std::pair<double, size_t>> undecided;
    for (size_t i : live(lanes_)) {
      Lane& lane = lanes_[i];
      if (i == leader_ || i == twin_) continue;
      const std::vector<double> d = ratios(all_of(lanes_, lane.contestant), leader);
      const Interval ci = trimmed_interval(d, z);
      const bool worse = r >= rules_.min_rounds && ci.low > 0 && ci.mean > rules_.delta;
      // Three spikes in five rounds happen; the best of five rounds tells them from a slow variant.
      const double median = quantile(d, 0.5);
      const bool far = r >= 5 && median > std::log(rules_.far_behind) && quantile(d, 0.1) > std::log(1.1);
      if (!lane.immune && (worse || far))
        eliminate(lane, ci.mean);
      else if (!worse && !(r >= rules_.min_rounds && ci.high <= rules_.delta)) {
        settled = false;
        if (!lane.immune && median > rules_.delta) undecided.emplace_back(median, i);
      }
      // A baseline that is far behind costs most of a round; confirmation measures it again.
      if (lane.contestant == baseline_ && r >= 8 && far && worse) withdraw(lanes_, baseline_);
    }
    if (r == 8 || r == 16 || r == 32) {
      std::sort(undecided.begin(), undecided.end());
      for (size_t k = (undecided.size() + 1) / 2; k < undecided.size(); ++k)
        eliminate(lanes_[undecided[k].second], undecided[k].first);
    }
    // Two are left: the confirmation tells them apart, and only its samples count for that.
    if (r >= 8 && live(lanes_).size() <= (lanes_[twin_].live ? 3 : 2)) return true;
    return settled && r >= rules_.min_rounds;
  }
  void eliminate(Lane& lane, double mean) {
    lane.live = false;
    Standing& standing = result_.standings[lane.contestant];
    standing.verdict = Verdict::eliminated;
    standing.reason = percent(mean) + " slower than " + contestants_[lanes_[leader_].contestant].name;
  }

  void summarise() {
    for (const Lane& lane : lanes_) {
      const Interval ci = trimmed_interval(ratios(lane, lane_of(lanes_, baseline_)), 1.96);
      if (&lane == &lanes_[twin_])
        result_.noise = ci;
      else
        result_.standings[lane.contestant].log_ratio = ci;
    }
  }

  /// The one to choose if it is confirmed: within delta of the leader ties go to the present choice, then to the
  /// default, to less workspace, to more determinism, and to the name.
  size_t pick_of() {
    const std::vector<size_t> lanes = live(lanes_);
    if (lanes.empty()) return present_;
    leader_ = leader_of(lanes_, twin_);
    std::vector<size_t> equals;
    for (size_t i : lanes) {
      if (i == twin_) continue;
      const double mean = i == leader_ ? 0 : trimmed_interval(ratios(lanes_[i], lanes_[leader_]), 1).mean;
      if (mean < rules_.delta) equals.push_back(lanes_[i].contestant);
    }
    for (size_t preferred : {present_, baseline_}) {
      if (std::find(equals.begin(), equals.end(), preferred) != equals.end()) return preferred;
    }
    return *std::min_element(equals.begin(), equals.end(), [&](size_t a, size_t b) {
      const Contestant &x = contestants_[a], &y = contestants_[b];
      if (x.workspace != y.workspace) return x.workspace < y.workspace;
      if (x.determinism != y.determinism) return x.determinism > y.determinism;
      return x.name < y.name;
    });
  }

  /// In noise the present choice may look equal to the best without being so: whoever may still be faster by more than
  /// the margin gets its chance in the confirmation. The present choice itself where there is nobody.
  size_t challenger() const {
    const Lane present = all_of(lanes_, present_);
    size_t best = present_;
    double most = -std::numeric_limits<double>::infinity();
    for (size_t i : live(lanes_)) {
      if (lanes_[i].contestant == present_ || i == twin_) continue;
      const Interval gain = trimmed_interval(ratios(present, all_of(lanes_, lanes_[i].contestant)), rules_.chance_z);
      if (gain.high > std::log1p(rules_.margin) && gain.mean > most) best = lanes_[i].contestant, most = gain.mean;
    }
    return best;
  }

  std::string why_kept() const {
    if (contestants_.size() == 1) return "the only one";
    return (has_incumbent_ ? "chosen before, and no other is more than " : "none is more than ") +
           percent(std::log1p(rules_.margin)) + " faster";
  }
  Result keep_present(std::string why, bool decided) {
    size_t chosen = present_;
    if (!rounds_.alive(chosen)) chosen = baseline_;
    if (!rounds_.alive(present_)) why = contestants_[present_].name + " failed in the race", decided = false;
    rounds_.keep(chosen, std::move(why), decided);
    return std::move(result_);
  }

  Course& course_;
  const std::vector<Contestant>& contestants_;
  const Rules& rules_;
  Rounds rounds_;
  Result& result_;
  size_t baseline_ = 0, present_ = 0, leader_ = 0, twin_ = 0;
  bool has_incumbent_ = false;
  int64_t deadline_ = 0;  ///< of the stage at work
  std::vector<Lane> lanes_;
};

}  // namespace

Result race(Course& course, const std::vector<Contestant>& contestants, const Rules& rules) {
  return Race(course, contestants, rules).run();
}

}  // namespace backplane::autotune
