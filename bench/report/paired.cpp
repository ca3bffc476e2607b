// SPDX-License-Identifier: Apache-2.0
#include "report/paired.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include <fmt/format.h>

#include "report/statistics.h"
#include "report/words.h"

namespace backplane::bench::report {

namespace {

const std::string kBusy = "measured beside other programs";

struct Rounds {  ///< of one row
  Row *old = nullptr, *now = nullptr;  ///< of the first round that timed both
  std::vector<double> before, after, log_ratios;  ///< of those that a quiet machine made
  size_t busy = 0;
};

std::map<std::string, Row*> timed_rows(Run& run) {
  std::map<std::string, Row*> rows;
  for (Row& row : run.rows) {
    const bool timed = row.status == Status::measured && !row.samples_ns.empty();
    if (timed && median(row.samples_ns) > 0) rows[identity(row)] = &row;
  }
  return rows;
}

/// Of a round: the median over windows that followed one another, where there are any; else that of all samples.
double log_ratio(const Row& old, const Row& now) {
  const size_t windows = std::min(old.stretches.size(), now.stretches.size());
  if (windows < 2) return std::log(median(now.samples_ns) / median(old.samples_ns));
  std::vector<double> logs;
  auto before = old.samples_ns.begin(), after = now.samples_ns.begin();
  for (size_t i = 0; i < windows; ++i) {
    const std::vector<double> a{before, before + old.stretches[i]}, b{after, after + now.stretches[i]};
    logs.push_back(std::log(median(b) / median(a)));
    before += old.stretches[i], after += now.stretches[i];
  }
  return median(logs);
}

std::map<std::string, Rounds> collected(std::vector<Run>& before, std::vector<Run>& after) {
  std::map<std::string, Rounds> all;
  for (size_t i = 0; i < std::min(before.size(), after.size()); ++i) {
    const auto old = timed_rows(before[i]), now = timed_rows(after[i]);
    for (const auto& [name, row] : now) {
      const auto found = old.find(name);
      if (found == old.end()) continue;
      Rounds& into = all.try_emplace(name, Rounds{found->second, row, {}, {}, {}, 0}).first->second;
      if (!row->quiet || !found->second->quiet) {
        ++into.busy;
        continue;
      }
      // Not median_ns: that of the first round is overwritten below.
      into.before.push_back(median(found->second->samples_ns)), into.after.push_back(median(row->samples_ns));
      into.log_ratios.push_back(log_ratio(*found->second, *row));
    }
  }
  return all;
}

void judge(Pair& pair, const TrimmedMean& mean, double adjusted_p) {
  const double reach = t_for_95_percent(mean.degrees) * mean.error;
  pair.ratio = std::exp(mean.mean);
  pair.interval = {std::exp(mean.mean - reach), std::exp(mean.mean + reach)};
  if (adjusted_p < kFalseShare && std::abs(mean.mean) > kLeastDifference) {
    pair.verdict = mean.mean < 0 ? Verdict::faster : Verdict::slower;
  } else if (pair.interval.low > 1 - kSame && pair.interval.high < 1 + kSame) {
    pair.verdict = Verdict::same;
  } else {
    pair.why = fmt::format("rounds differ, ± {} is left", percent_text(reach));
  }
}

}  // namespace

TrimmedMean trimmed_mean(std::vector<double> values) {
  std::ranges::sort(values);
  const size_t n = values.size(), cut = n / 5, kept = n - 2 * cut;
  double sum = 0, all = 0, squares = 0;
  for (size_t i = cut; i < n - cut; ++i) sum += values[i];
  const auto pulled_in = [&](size_t i) { return values[std::clamp(i, cut, n - cut - 1)]; };  // winsorized
  for (size_t i = 0; i < n; ++i) all += pulled_in(i);
  for (size_t i = 0; i < n; ++i) squares += std::pow(pulled_in(i) - all / static_cast<double>(n), 2);
  const auto h = static_cast<double>(kept);
  return {sum / h, std::sqrt(squares / (h * (h - 1))), static_cast<int>(kept) - 1};
}

Comparison compare_paired(std::vector<Run>& before, std::vector<Run>& after, int looks) {
  if (before.empty() || after.empty()) throw Error("[bench] compare needs a run of each build");
  Comparison result = paired(before.front(), after.front());
  std::map<std::string, Rounds> all = collected(before, after);
  std::erase_if(result.vanished, [&](const Row* row) { return all.contains(identity(*row)); });
  std::erase_if(result.appeared, [&](const Row* row) { return all.contains(identity(*row)); });
  result.pairs.clear();
  std::vector<size_t> judged;
  std::vector<TrimmedMean> means;
  std::vector<double> p_values;
  for (auto& [name, rounds] : all) {
    Pair& pair = result.pairs.emplace_back(Pair{rounds.old, rounds.now, 1, {0, INFINITY}, Verdict::ambiguous, {}});
    const size_t count = rounds.log_ratios.size();
    if (count < kFewestRounds) {
      pair.why = rounds.busy > 0 ? kBusy : fmt::format("fewer than {} rounds", kFewestRounds);
      pair.ratio = rounds.now->median_ns.value_or(1) / rounds.old->median_ns.value_or(1);
      continue;
    }
    rounds.old->median_ns = median(rounds.before), rounds.now->median_ns = median(rounds.after);
    TrimmedMean mean = trimmed_mean(rounds.log_ratios);
    mean.error = std::max(mean.error, kLeastNoise / std::sqrt(static_cast<double>(count)));
    judged.push_back(result.pairs.size() - 1), means.push_back(mean);
    p_values.push_back(std::min(1.0, looks * two_sided_p(mean.mean / mean.error, mean.degrees)));
  }
  const std::vector<double> adjusted = adjusted_for_many(p_values);
  for (size_t i = 0; i < judged.size(); ++i) judge(result.pairs[judged[i]], means[i], adjusted[i]);
  return result;
}

}  // namespace backplane::bench::report
