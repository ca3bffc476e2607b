// SPDX-License-Identifier: Apache-2.0
#include "neighbours.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace backplane::autotune {
namespace {

constexpr double kReach = 2;          // further shapes say nothing
constexpr double kLeastError = 0.02;  // of a stored ratio: another run of the same would differ by as much
constexpr double kUsualChange = 0.3;  // of ln(ratio) per doubling, where little is stored ...
constexpr double kUsualPairs = 16;    // ... counted as so many pairs of shapes
constexpr double kMostLog = 1;        // how much slower than e x does not matter

}  // namespace

Neighbours::Neighbours(const std::vector<Record>& records) : faulty_(faulty_in(records)) {
  for (const Record& record : records) {
    const Candidate* usual = default_of(record.outcome);
    if (usual == nullptr) continue;
    Row row{record.key.problem, record.key.shapes, record.key.extents, {}};
    for (const Candidate& each : record.outcome.candidates) {
      if (const auto ratio = measured_ratio(each, *usual)) row.ratios[each.variant] = *ratio;
    }
    rows_.push_back(std::move(row));
  }
}

/// By other shapes than the one at `extents`.
std::optional<Prediction> Neighbours::at(const std::vector<int64_t>& extents, const Trend& trend) {
  double weights = 0, sum = 0;
  for (const Point& point : trend.points) {
    const double d = distance(extents, *point.extents);
    if (d == 0 || d > kReach) continue;
    const double weight = 1 / (point.variance + trend.change * d * d);
    weights += weight, sum += weight * point.log;
  }
  if (weights == 0) return std::nullopt;
  return Prediction{sum / weights, std::sqrt(trend.scale / weights)};
}

const Neighbours::Trend& Neighbours::trend(const Question& question) {
  const auto known = trends_.find(question);
  if (known != trends_.end()) return known->second;
  Trend trend;
  const auto& [variant, usual] = question.second;
  for (const Row& row : rows_) {
    const auto a = row.ratios.find(variant), b = row.ratios.find(usual);
    if (row.problem != question.first || a == row.ratios.end() || b == row.ratios.end()) continue;
    const double variance = std::hypot(a->second.error, b->second.error, kLeastError);
    trend.points.push_back({&row.extents, std::min(a->second.value - b->second.value, kMostLog), variance * variance});
  }
  double squares = kUsualPairs * kUsualChange * kUsualChange, pairs = kUsualPairs;
  for (const Point& a : trend.points) {
    for (const Point& b : trend.points) {
      const double d = &a < &b ? distance(*a.extents, *b.extents) : 0;
      if (d == 0 || d > kReach) continue;
      const double by_noise = a.variance + b.variance;
      squares += std::max(0.0, (a.log - b.log) * (a.log - b.log) - by_noise) / (d * d);
      pairs += 1;
    }
  }
  trend.change = squares / pairs;
  double surprise = 0, predicted = 0;
  for (const Point& each : trend.points) {
    const auto others = at(*each.extents, trend);
    if (!others) continue;
    const double error = each.log - others->value;
    surprise += error * error / (others->error * others->error + each.variance), predicted += 1;
  }
  trend.scale = std::max(1.0, surprise / std::max(predicted, 1.0));
  return trends_.emplace(question, std::move(trend)).first->second;
}

Guess Neighbours::choose(const bp_op& op, const Key& key, const std::vector<host::Variant>& variants) {
  const Row* closest = nullptr;
  double least = kReach;
  size_t count = 0;
  for (const Row& row : rows_) {
    const double d = row.problem == key.problem ? distance(key.extents, row.extents) : kReach + 1;
    if (d == 0 || d > kReach) continue;
    ++count;
    if (d <= least) least = d, closest = &row;
  }
  if (closest == nullptr) return {};
  char by[64];
  std::snprintf(by, sizeof by, "%zu similar shapes, the closest at distance %.2f: ", count, least);
  return surest(op, variants, faulty_, by + closest->shapes, [&](const std::string& variant, const std::string& usual) {
    return at(key.extents, trend({key.problem, {variant, usual}}));
  });
}

}  // namespace backplane::autotune
