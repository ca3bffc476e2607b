// SPDX-License-Identifier: Apache-2.0
#include "contest.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <numeric>
#include <random>

#include "lanes.h"
#include "statistics.h"

namespace backplane::autotune {
namespace {

std::string percent(double log_ratio) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%", std::fabs(std::expm1(log_ratio)) * 100);
  return text;
}

class Race {
 public:
  Race(Course& course, const std::vector<Contestant>& contestants, const Rules& rules)
      : course_(course), contestants_(contestants), rules_(rules), engine_(rules.seed) {
    result_.standings.resize(contestants.size());
    for (size_t i = 0; i < contestants.size(); ++i) {
      if (contestants[i].is_baseline) baseline_ = i;
      if (contestants[i].is_incumbent) present_ = i, has_incumbent_ = true;
    }
    if (!has_incumbent_) present_ = baseline_;
    const int64_t now = course.now_ns();
    // A deadline far beyond any clock must not overflow.
    const double left = static_cast<double>(rules.deadline_ns) - static_cast<double>(now);
    race_deadline_ = left > 1e17 ? rules.deadline_ns : now + static_cast<int64_t>(left * rules.race_share);
  }

  Result run() {
    if (!first_looks()) return keep_present("no time for a first look at all variants", false);
    open_lanes();
    const bool finished = rounds();
    summarise();
    if (!alive(present_)) return keep_present("", false);
    if (result_.rounds < 3) return keep_present("no time for a race", false);
    const size_t pick = pick_of();
    if (pick == present_) return keep_present(why_kept(), finished || result_.rounds >= rules_.min_rounds);
    confirm(pick);
    return std::move(result_);
  }

 private:
  bool alive(size_t contestant) const { return !is_faulty(result_.standings[contestant].verdict); }

  /// False when the race has to end.
  bool take(size_t contestant, int64_t deadline_ns, double& ns) {
    Standing& standing = result_.standings[contestant];
    Course::Sample sample = course_.sample(contestant, deadline_ns);
    if (sample.state == Course::State::no_time) return false;
    if (sample.state == Course::State::failed) {
      standing.verdict = sample.verdict;
      standing.reason = std::move(sample.reason);
      ns = 0;
      return sample.verdict != Verdict::device_lost && sample.verdict != Verdict::hung;
    }
    standing.times.push_back(sample.ns);
    ns = std::max(sample.ns, 1e-3);
    return true;
  }

  /// Two samples of each in two passes, and a third of those that would leave; the best one counts, so that neither a
  /// cold start nor interruptions throw anybody out.
  bool first_looks() {
    std::vector<double> looks(contestants_.size(), std::numeric_limits<double>::infinity());
    const auto least = [&] { return *std::min_element(looks.begin(), looks.end()); };
    for (int pass = 0; pass < 3; ++pass) {
      const double enough = pass < 2 ? 0 : rules_.hopeless * least();
      for (size_t i = 0; i < contestants_.size(); ++i) {
        if (!alive(i) || looks[i] <= enough) continue;
        double ns = 0;
        if (!take(i, race_deadline_, ns)) return false;
        if (ns > 0) looks[i] = std::min(looks[i], ns);
      }
    }
    const double best = least();
    for (size_t i = 0; i < contestants_.size(); ++i) {
      Standing& standing = result_.standings[i];
      if (!alive(i)) continue;
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
    lanes_.push_back({baseline_, {}, alive(baseline_), true});
  }

  /// One sample of each live lane, in random order. False when time is up: the round then does not count.
  bool round(std::vector<Lane>& lanes, int64_t deadline_ns) {
    std::vector<size_t> order(lanes.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::shuffle(order.begin(), order.end(), engine_);
    std::vector<double> ns(lanes.size(), 0);
    for (size_t i : order) {
      if (!lanes[i].live) continue;
      if (!take(lanes[i].contestant, deadline_ns, ns[i])) return false;
      if (ns[i] == 0) withdraw(lanes, lanes[i].contestant);
    }
    for (size_t i : order) {
      if (lanes[i].live) lanes[i].logs.push_back(std::log(ns[i]));
    }
    ++result_.rounds;
    return true;
  }

  bool rounds() {
    const double z = normal_quantile(rules_.error_rate / static_cast<double>(3 * lanes_.size()));
    for (uint32_t r = 1; r <= rules_.max_rounds; ++r) {
      if (r > rules_.min_rounds && live(lanes_).size() < 3) return true;  // the baseline and its twin are alone
      if (!round(lanes_, race_deadline_)) return false;
      if (live(lanes_).empty()) return true;  // all have failed
      course_.on_round(r, rules_.max_rounds);
      if (r >= 3 && (r <= 16 || r % 4 == 0) && judge(r, z)) return true;
    }
    return true;
  }

  /// Removes losers; true when nothing is left to find out.
  bool judge(uint32_t r, double z) {
    leader_ = leader_of(lanes_, twin_);
    bool settled = true;
    std::vector<std::pair<double, size_t>> undecided;
    for (size_t i : live(lanes_)) {
      Lane& lane = lanes_[i];
      if (i == leader_ || i == twin_) continue;
      const std::vector<double> d = ratios(lane, lanes_[leader_]);
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

  void confirm(size_t pick) {
    // Fresh samples: what made the leader a leader does not count.
    const size_t leader = lanes_[leader_].contestant;
    const double margin = std::log1p(rules_.margin);
    const double z = has_incumbent_ ? rules_.incumbent_z : rules_.confirm_z;
    std::vector<Lane> lanes;
    for (size_t contestant : {present_, pick, leader, baseline_}) {
      if (std::none_of(lanes.begin(), lanes.end(), [&](const Lane& l) { return l.contestant == contestant; }))
        lanes.push_back({contestant, {}, true, true});
    }
    lanes.push_back({baseline_, {}, true, true});
    const auto gain = [&](size_t of, size_t over) {
      return trimmed_interval(ratios(lane_of(lanes, over), lane_of(lanes, of)), z);
    };
    // Looking again and again finds something in the end: early looks have to be surer (as O'Brien and Fleming, "A
    // multiple testing procedure for clinical trials", 1979, only less so).
    const auto sureness = [&](size_t looks) {
      return std::pow(static_cast<double>(rules_.max_confirm_rounds) / static_cast<double>(looks), 0.25);
    };
    const auto twin = [&] { return trimmed_interval(ratios(lanes.back(), lane_of(lanes, baseline_)), 1.96); };
    // What the twin shows is what a difference can come from without being one.
    const auto accepts = [&](const Interval& ci) {
      const double low = ci.mean - ci.half_width() * sureness(lanes[0].logs.size());
      return low > (has_incumbent_ ? margin : 0) && ci.mean > margin && ci.mean > 2 * std::fabs(twin().mean);
    };
    bool time_left = true, settled = false;
    size_t winner = present_;
    for (uint32_t r = 1; r <= rules_.max_confirm_rounds && time_left && !settled; ++r) {
      time_left = round(lanes, rules_.deadline_ns);
      for (size_t contestant : {present_, pick, leader, baseline_}) {
        if (!alive(contestant)) return keep(contestant == present_ ? baseline_ : present_, "", false);
      }
      if (time_left && r % rules_.confirm_block != 0) continue;
      const Interval of_pick = gain(pick, present_), of_leader = gain(leader, present_);
      winner = accepts(of_pick) ? pick : accepts(of_leader) ? leader : present_;
      settled = accepts(of_pick) || (of_pick.high < margin && (accepts(of_leader) || of_leader.high < margin));
    }
    finish_confirmation(winner, gain(winner == present_ ? leader : winner, present_), twin(),
                        winner == baseline_ ? Interval{} : gain(baseline_, winner), settled, time_left);
  }

  void finish_confirmation(size_t winner, const Interval& gain, const Interval& twin, const Interval& default_gain,
                           bool settled, bool time_left) {
    if (twin.half_width() < result_.noise.half_width()) result_.noise = twin;
    if (winner == present_ && (twin.low > rules_.delta || twin.high < -rules_.delta))
      return keep(present_, "the default and its twin differ by " + percent(twin.mean) + ": too noisy to trust", false);
    if (winner != baseline_ && default_gain.low > 0 && default_gain.mean > std::log1p(rules_.margin) / 2)
      return keep(baseline_, percent(default_gain.mean) + " faster than " + contestants_[winner].name, true);
    if (winner != present_) {
      return keep(winner, percent(-gain.mean) + " less time than " + contestants_[present_].name + " on fresh samples",
                  true);
    }
    if (settled) return keep(present_, "no other is more than " + percent(std::log1p(rules_.margin)) + " faster", true);
    if (time_left) return keep(present_, "no other is provably faster in this noise", true);
    if (gain.high < std::log1p(rules_.negligible))
      return keep(present_, "no other is more than " + percent(gain.high) + " faster", true);
    keep(present_, "no time to confirm a faster one", false);
  }

  std::string why_kept() const {
    if (has_incumbent_) return "chosen before, and no other is more than " + percent(rules_.delta) + " faster";
    return contestants_.size() == 1 ? "the only one" : "none is more than " + percent(rules_.delta) + " faster";
  }
  void keep(size_t chosen, std::string why, bool decided) {
    result_.chosen = chosen;
    result_.why = std::move(why);
    result_.decided = decided;
  }
  Result keep_present(std::string why, bool decided) {
    size_t chosen = present_;
    if (!alive(chosen)) chosen = baseline_;
    if (!alive(present_)) why = contestants_[present_].name + " failed in the race", decided = false;
    keep(chosen, std::move(why), decided);
    return std::move(result_);
  }

  Course& course_;
  const std::vector<Contestant>& contestants_;
  const Rules& rules_;
  std::mt19937_64 engine_;
  Result result_;
  size_t baseline_ = 0, present_ = 0, leader_ = 0, twin_ = 0;
  bool has_incumbent_ = false;
  int64_t race_deadline_ = 0;
  std::vector<Lane> lanes_;
};

}  // namespace

Result race(Course& course, const std::vector<Contestant>& contestants, const Rules& rules) {
  return Race(course, contestants, rules).run();
}

}  // namespace backplane::autotune
