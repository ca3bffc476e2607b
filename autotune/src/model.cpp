// SPDX-License-Identifier: Apache-2.0
#include "model.h"

#include <algorithm>
#include <cmath>

#include "backplane/autotune/recorder.h"
#include "backplane/host/error.h"

namespace backplane::autotune {
namespace {

constexpr size_t kLeastShapes = 8;
constexpr double kMostBeyond = 1;   // doublings beyond the least and the largest of a feature
constexpr double kWasteWeight = 2;  // a tile twice as large as the result is further than an extent twice as long

Features with_waste(Features features, const Waste& of_variant, const Waste& of_usual) {
  features.push_back(kWasteWeight * (of_variant.edges - of_usual.edges));
  features.push_back(kWasteWeight * (of_variant.turns - of_usual.turns));
  return features;
}

/// Calls use(raw op, record, default) for each record that says something.
template <class Use>
void each_usable(const std::vector<Record>& records, Use&& use) {
  for (const Record& record : records) {
    const Candidate* usual = default_of(record.outcome);
    if (record.op.empty() || usual == nullptr) continue;
    try {
      op_from_json(record.op).with_op([&](const bp_op& op) { use(op, record, *usual); });
    } catch (const host::Error&) {
      continue;  // written by something newer
    }
  }
}

}  // namespace

Model::Model(const std::vector<Record>& records, uint32_t units) : units_(units), faulty_(faulty_in(records)) {
  each_usable(records, [&](const bp_op& op, const Record& record, const Candidate&) {
    for (const Candidate& each : record.outcome.candidates) {
      if (is_right(each.verdict)) peaks_.see(op, each.times.median_ns);
    }
  });
  each_usable(records, [&](const bp_op& op, const Record& record, const Candidate& usual) {
    Row row{features_of(op, record.key, peaks_), {}, {}};
    for (const Candidate& each : record.outcome.candidates) {
      const auto ratio = measured_ratio(each, usual);
      if (!ratio) continue;
      row.logs[each.variant] = ratio->value;
      row.waste[each.variant] = waste_of(op, Tile::of(each.variant), units_);
    }
    if (rows_.empty() || rows_.front().features.size() == row.features.size()) rows_.push_back(std::move(row));
  });
}

const Model::Fit& Model::fitted(const Pair& pair) {
  const auto known = fits_.find(pair);
  if (known != fits_.end()) return known->second;
  Fit fit;
  std::vector<Features> points;
  std::vector<double> targets;
  for (const Row& row : rows_) {
    const auto a = row.logs.find(pair.first), b = row.logs.find(pair.second);
    if (a == row.logs.end() || b == row.logs.end()) continue;
    if (points.empty()) fit.low = fit.high = row.features;
    std::ranges::transform(fit.low, row.features, fit.low.begin(), [](double x, double y) { return std::min(x, y); });
    std::ranges::transform(fit.high, row.features, fit.high.begin(), [](double x, double y) { return std::max(x, y); });
    points.push_back(with_waste(row.features, row.waste.at(pair.first), row.waste.at(pair.second)));
    // How much slower than e x does not matter, and would drown what does.
    targets.push_back(std::min(a->second - b->second, 1.0));
  }
  // One that never was faster is not worth the steps.
  const bool hopeful = std::ranges::any_of(targets, [](double log) { return log < -kMargin; });
  if (hopeful && targets.size() >= kLeastShapes) fit.regression.emplace(std::move(points), targets);
  return fits_.emplace(pair, std::move(fit)).first->second;
}

/// Whether the shapes of a fit lie around one with these features, or nearly so.
bool Model::covers(const Fit& fit, const Features& features) {
  for (size_t i = 0; i < features.size(); ++i) {
    if (features[i] < fit.low[i] - kMostBeyond || features[i] > fit.high[i] + kMostBeyond) return false;
  }
  return true;
}

std::optional<Prediction> Model::predict(const bp_op& op, const Key& key, const std::string& variant,
                                         const std::string& usual) {
  const Fit& fit = fitted({variant, usual});
  Features features = features_of(op, key, peaks_);
  if (!fit.regression || features.size() != rows_.front().features.size()) return std::nullopt;
  if (!covers(fit, features)) return std::nullopt;
  return fit.regression->at(with_waste(std::move(features), waste_of(op, Tile::of(variant), units_),
                                       waste_of(op, Tile::of(usual), units_)));
}

Guess Model::choose(const bp_op& op, const Key& key, const std::vector<host::Variant>& variants) {
  return surest(op, variants, faulty_, std::to_string(rows_.size()) + " measured shapes",
                [&](const std::string& variant, const std::string& usual) { return predict(op, key, variant, usual); });
}

}  // namespace backplane::autotune
