// SPDX-License-Identifier: Apache-2.0
// Which variant to take for a shape that was not measured, learnt from those that were: for each variant a regression
// (regression.h) of ln(its time / the default's time), both of one race, over the shapes of the class.
// When that is enough to leave the default is guess.h's.
//
// It does not speak of what lies outside of the shapes that it knows: a straight line through products of large
// matrices says nothing of small ones, nor filters of 3x3 of those of 1x1, whatever its own error is.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "guess.h"
#include "shape_features.h"

namespace backplane::autotune {

class Model {
 public:
  /// `records` of one class, policy and device with its build.
  Model(const std::vector<Record>& records, uint32_t units);

  /// The best of `variants`. Not thread-safe.
  Guess choose(const bp_op& op, const Key& key, const std::vector<host::Variant>& variants);
  /// ln(time of `variant` / time of `usual`); nothing where too little was measured.
  std::optional<Prediction> predict(const bp_op& op, const Key& key, const std::string& variant,
                                    const std::string& usual);
  size_t shapes() const { return rows_.size(); }

 private:
  struct Row {
    Features features;
    std::map<std::string, double> logs;  ///< variant -> ln(time / time of that race's default)
    std::map<std::string, Waste> waste;  ///< of those
  };
  using Pair = std::pair<std::string, std::string>;
  struct Fit {
    std::optional<Regression> regression;  ///< nothing: too little was measured, or it never was faster
    Features low, high;                    ///< of the shapes that both were measured for
  };
  const Fit& fitted(const Pair& pair);
  static bool covers(const Fit& fit, const Features& features);

  uint32_t units_;
  Peaks peaks_;
  std::vector<Row> rows_;
  std::vector<std::string> faulty_;
  std::map<Pair, Fit> fits_;
};

}  // namespace backplane::autotune
