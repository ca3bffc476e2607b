// SPDX-License-Identifier: Apache-2.0
#include "report/compare.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "report/merge.h"
#include "report/statistics.h"
#include "report/words.h"

namespace backplane::bench::report {

namespace {

uint64_t seed_of(const std::string& text) {
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return hash;
}

struct Deviations {
  double log_ratio = 0;
  double sampling = 0;
};

Deviations deviations(const Pair& pair, const std::string& name) {
  Deviations d;
  double squares = 0;
  for (const Row* row : {pair.before, pair.after}) {
    const double sign = row == pair.after ? 1 : -1;
    d.log_ratio += sign * std::log(median(row->samples_ns));
    const double own = bootstrap_deviation(row->samples_ns, row->stretches, seed_of(name) + (sign > 0 ? 1 : 0));
    squares += own * own;
  }
  d.sampling = std::sqrt(squares);
  return d;
}

/// Three stretches say little about their own scatter: it is drawn half way to what is usual on the device, as
/// moderated t statistics do (Smyth 2004). Returns the usual one.
double moderate(const std::vector<Deviations*>& of_device) {
  std::vector<double> samplings;
  for (const Deviations* d : of_device) samplings.push_back(d->sampling);
  const double usual = median(std::move(samplings));
  for (Deviations* d : of_device) d->sampling = std::sqrt((d->sampling * d->sampling + usual * usual) / 2);
  return usual;
}

/// Log-ratios without what all pairs of the device share, so that a change of all alike does not count as noise. A
/// tuned row that repeats the default's measurement counts once.
std::vector<double> centred(const std::vector<Deviations*>& of_device) {
  std::set<double> different;
  for (const Deviations* d : of_device) different.insert(d->log_ratio);
  std::vector<double> values(different.begin(), different.end());
  const double centre = median(values);
  for (double& value : values) value -= centre;
  return values;
}

/// What medians differ by from run to run, the largest of: what the runs say themselves; how far pairs lie apart beyond
/// their own scatter, those of the device where there are enough, and those of all devices. A change of less than half
/// of the pairs hides in none of them.
void add_run_noise(Comparison& result, const Run& before, const Run& after,
                   const std::map<std::string, std::vector<Deviations*>>& by_device) {
  constexpr size_t kFewestPairs = 8;
  const auto noise_of = [](const std::vector<double>& log_ratios, double scatter) {
    const double apart = log_ratios.size() < kFewestPairs ? 0 : robust_deviation(log_ratios);
    return std::sqrt(std::max(0.0, apart * apart - scatter * scatter));
  };
  const auto &a = before.environment.noise_floor, &b = after.environment.noise_floor;
  const double stated = a && b ? std::hypot(*a, *b) : 0;
  std::vector<double> all;
  double least_scatter = INFINITY;
  for (const auto& [device, pairs] : by_device) {
    const double scatter = moderate(pairs);
    const std::vector<double> log_ratios = centred(pairs);
    result.run_noise[device] = std::max({stated, kLeastNoise, noise_of(log_ratios, scatter)});
    all.insert(all.end(), log_ratios.begin(), log_ratios.end());
    least_scatter = std::min(least_scatter, scatter);
  }
  const bool unknown = stated == 0 && all.size() < kFewestPairs;
  const double shared = unknown ? kAssumedNoise : noise_of(all, least_scatter);
  for (auto& [device, noise] : result.run_noise) noise = std::max(noise, shared);
}

/// Empty when the pair can be judged. Beside other programs medians are up to twice as long, in no lawful way.
std::string why_not_judged(const Pair& pair) {
  if (!pair.before->quiet || !pair.after->quiet) return "measured beside other programs";
  if (std::min(pair.before->samples_ns.size(), pair.after->samples_ns.size()) < kFewestSamples)
    return fmt::format("fewer than {} samples", kFewestSamples);
  if (median(pair.before->samples_ns) <= 0 || median(pair.after->samples_ns) <= 0)
    return "the clock is too coarse";
  return "";
}

void judge(Pair& pair, const Deviations& d, double noise, double adjusted_p) {
  const double total = std::sqrt(d.sampling * d.sampling + noise * noise);
  pair.ratio = std::exp(d.log_ratio);
  pair.interval = {std::exp(d.log_ratio - kTFor95Percent * total), std::exp(d.log_ratio + kTFor95Percent * total)};
  if (adjusted_p < kFalseShare && std::abs(d.log_ratio) > 2 * noise) {
    pair.verdict = d.log_ratio < 0 ? Verdict::faster : Verdict::slower;
  } else if (pair.interval.low > 1 - kSame && pair.interval.high < 1 + kSame) {
    pair.verdict = Verdict::same;
  } else {
    pair.why = d.sampling > noise ? fmt::format("samples scatter by {}", percent_text(d.sampling))
                                  : fmt::format("runs differ by {}", percent_text(noise));
  }
}

void note_differences(Comparison& result, const Run& before, const Run& after) {
  const auto note = [&](const std::string& what, const std::string& a, const std::string& b) {
    if (a != b) result.differences.push_back(fmt::format("{}: {} and {}", what, text_or_absent(a), text_or_absent(b)));
  };
  const Environment &a = before.environment, &b = after.environment;
  note("processor", a.cpu_model, b.cpu_model);
  note("cores", std::to_string(a.cores), std::to_string(b.cores));
  note("threads", std::to_string(a.threads), std::to_string(b.threads));
  note("system", a.system, b.system);
  note("governor", a.governor, b.governor);
  note("build", a.build, b.build);
  for (const Device& one : before.devices) {
    for (const Device& other : after.devices) {
      if (one.id != other.id) continue;
      note(one.id, one.name, other.name);
      note(one.id + " driver", one.driver, other.driver);
    }
  }
}

}  // namespace

Comparison paired(Run& before, Run& after) {
  Comparison result;
  note_differences(result, before, after);
  std::map<std::string, const Row*> old;
  for (const Row& row : before.rows) old[identity(row)] = &row;
  for (const Row& row : after.rows) {
    const auto found = old.find(identity(row));
    const bool was = found != old.end() && found->second->status == Status::measured;
    const bool is = row.status == Status::measured;
    if (was && is) result.pairs.push_back({found->second, &row, 1, {}, Verdict::ambiguous, {}});
    if (was && !is) result.vanished.push_back(&row);
    if (!was && is) result.appeared.push_back(&row);
    if (found == old.end())
      ++result.unpaired;
    else
      old.erase(found);
  }
  result.unpaired += old.size();
  return result;
}

Comparison compare(Run& before, Run& after) {
  merge_repetitions(before);
  merge_repetitions(after);
  Comparison result = paired(before, after);
  std::vector<Pair*> judged;
  std::vector<Deviations> measured;
  for (Pair& pair : result.pairs) {
    pair.why = why_not_judged(pair);
    if (pair.why.empty()) {
      judged.push_back(&pair);
      measured.push_back(deviations(pair, identity(*pair.after)));
    } else {
      pair.ratio = pair.after->median_ns.value_or(1) / pair.before->median_ns.value_or(1);
      pair.interval = {0, INFINITY};
    }
  }
  std::map<std::string, std::vector<Deviations*>> by_device;
  for (size_t i = 0; i < judged.size(); ++i) by_device[judged[i]->after->device].push_back(&measured[i]);
  add_run_noise(result, before, after, by_device);

  std::vector<double> p_values;
  for (size_t i = 0; i < judged.size(); ++i) {
    const double noise = result.run_noise[judged[i]->after->device];
    p_values.push_back(two_sided_p(measured[i].log_ratio / std::hypot(measured[i].sampling, noise)));
  }
  const std::vector<double> adjusted = adjusted_for_many(p_values);
  for (size_t i = 0; i < judged.size(); ++i)
    judge(*judged[i], measured[i], result.run_noise[judged[i]->after->device], adjusted[i]);
  return result;
}

bool is_confirmed_slowdown(const Pair& pair, double share) {
  return pair.verdict == Verdict::slower && pair.interval.low > 1 + share;
}

}  // namespace backplane::bench::report
