// SPDX-License-Identifier: Apache-2.0
#include "model.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "backplane/autotune/recorder.h"
#include "backplane/host/error.h"

namespace backplane::autotune {
namespace {

constexpr size_t kLeastShapes = 8;
constexpr double kMargin = 0.02, kErrors = 2;
constexpr double kWasteWeight = 2;  // a tile twice as large as the result is further than an extent twice as long

std::optional<double> log_of(const Candidate& c, const Candidate& usual) {
  if (!is_right(c.verdict) || c.times.samples == 0) return std::nullopt;
  if (c.verdict != Verdict::slow && std::isfinite(c.log_ratio.half_width())) return c.log_ratio.mean;
  if (usual.times.samples == 0) return std::nullopt;
  return std::log(c.times.median_ns / usual.times.median_ns);  // not compared within rounds
}

const Candidate* default_of(const Outcome& outcome) {
  for (const Candidate& each : outcome.candidates) {
    if (each.is_default && is_right(each.verdict) && each.times.samples > 0) return &each;
  }
  return nullptr;
}

Features with_waste(Features features, const Waste& of_variant, const Waste& of_usual) {
  features.push_back(kWasteWeight * (of_variant.edges - of_usual.edges));
  features.push_back(kWasteWeight * (of_variant.turns - of_usual.turns));
  return features;
}

std::string percent(double log_ratio) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", 100 * (1 - std::exp(log_ratio)));
  return text;
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

Model::Model(const std::vector<Record>& records, uint32_t units) : units_(units) {
  each_usable(records, [&](const bp_op& op, const Record& record, const Candidate&) {
    for (const Candidate& each : record.outcome.candidates) {
      if (is_right(each.verdict)) peaks_.see(op, each.times.median_ns);
      if (is_faulty(each.verdict)) faulty_.push_back(each.variant);
    }
  });
  each_usable(records, [&](const bp_op& op, const Record& record, const Candidate& usual) {
    Row row{features_of(op, record.key, peaks_), {}, {}};
    for (const Candidate& each : record.outcome.candidates) {
      const auto log = log_of(each, usual);
      if (!log) continue;
      row.logs[each.variant] = *log;
      row.waste[each.variant] = waste_of(op, Tile::of(each.variant), units_);
    }
    if (rows_.empty() || rows_.front().features.size() == row.features.size()) rows_.push_back(std::move(row));
  });
}

const Regression* Model::fitted(const Pair& pair) {
  const auto known = fits_.find(pair);
  if (known != fits_.end()) return known->second.get();
  std::vector<Features> points;
  std::vector<double> targets;
  for (const Row& row : rows_) {
    const auto a = row.logs.find(pair.first), b = row.logs.find(pair.second);
    if (a == row.logs.end() || b == row.logs.end()) continue;
    points.push_back(with_waste(row.features, row.waste.at(pair.first), row.waste.at(pair.second)));
    // How much slower than e x does not matter, and would drown what does.
    targets.push_back(std::min(a->second - b->second, 1.0));
  }
  // One that never was faster is not worth the steps.
  const bool hopeful = std::ranges::any_of(targets, [](double log) { return log < -kMargin; });
  std::unique_ptr<Regression> fit;
  if (hopeful && targets.size() >= kLeastShapes) fit = std::make_unique<Regression>(std::move(points), targets);
  return fits_.emplace(pair, std::move(fit)).first->second.get();
}

std::optional<Prediction> Model::predict(const bp_op& op, const Key& key, const std::string& variant,
                                         const std::string& usual) {
  const Regression* fit = fitted({variant, usual});
  Features features = features_of(op, key, peaks_);
  if (fit == nullptr || features.size() != rows_.front().features.size()) return std::nullopt;
  return fit->at(with_waste(std::move(features), waste_of(op, Tile::of(variant), units_),
                            waste_of(op, Tile::of(usual), units_)));
}

Guess Model::choose(const bp_op& op, const Key& key, const std::vector<host::Variant>& variants) {
  const auto usual =
      std::ranges::find_if(variants, [](const host::Variant& v) { return (v.flags & BP_VARIANT_DEFAULT) != 0; });
  if (usual == variants.end()) return {};
  const std::string by = " less time than " + usual->name + " by " + std::to_string(rows_.size()) + " measured shapes";
  Guess sure, unsure;
  double least = -std::log1p(kMargin), most = least;
  for (const host::Variant& each : variants) {
    const bool out = (each.flags & (BP_VARIANT_DEFAULT | BP_VARIANT_RISKY)) != 0 || !forbidden(op, each).empty() ||
                     std::ranges::find(faulty_, each.name) != faulty_.end();
    const auto expected = out ? std::nullopt : predict(op, key, each.name, usual->name);
    if (!expected) continue;
    const double at_least = expected->value + kErrors * expected->error;
    const std::string range = percent(expected->value) + " % (" + percent(at_least) + " % at least)";
    if (at_least < least) least = at_least, sure = {each.name, range + by};
    if (expected->value < most)
      most = expected->value, unsure = {"", each.name + " may take " + range + by + ": not sure enough"};
  }
  return sure.variant.empty() ? unsure : sure;
}

}  // namespace backplane::autotune
