// SPDX-License-Identifier: Apache-2.0
// What similar shapes of the same problem say of one that was not measured: of each variant the ratios to this shape's
// default that were measured for them, weighted by how exact they are and how near. Few shapes suffice, unlike for the
// model (model.h), which needs eight and knows more than distances.
//
// How much a ratio changes with distance is learnt from the stored shapes, pair by pair, and whether the errors that
// come out are true is seen by predicting each of them from the others.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "guess.h"

namespace backplane::autotune {

class Neighbours {
 public:
  /// `records` of one policy and device with its build; those of other problems are not used.
  explicit Neighbours(const std::vector<Record>& records);

  Neighbours(const Neighbours&) = delete;  // points of trends_ look into rows_
  Neighbours& operator=(const Neighbours&) = delete;

  /// The best of `variants`. Not thread-safe.
  Guess choose(const bp_op& op, const Key& key, const std::vector<host::Variant>& variants);

 private:
  struct Row {
    std::string problem, shapes;
    std::vector<int64_t> extents;
    std::map<std::string, Prediction> ratios;  ///< variant -> to that race's default
  };
  struct Point {
    const std::vector<int64_t>* extents;
    double log;
    double variance;
  };
  struct Trend {
    std::vector<Point> points;
    double change = 0;  ///< square of what a ratio changes by per doubling
    double scale = 1;   ///< of variances, by leaving out each point
  };
  using Question = std::pair<std::string, std::pair<std::string, std::string>>;  ///< problem, variant, default
  const Trend& trend(const Question& question);
  static std::optional<Prediction> at(const std::vector<int64_t>& extents, const Trend& trend);

  std::vector<Row> rows_;
  std::vector<std::string> faulty_;
  std::map<Question, Trend> trends_;
};

}  // namespace backplane::autotune
