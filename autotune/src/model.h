// SPDX-License-Identifier: Apache-2.0
// Which variant to take for a shape that was not measured, learnt from those that were: for each variant a regression
// (regression.h) of ln(its time / the default's time), both of one race, over the shapes of the class.
//
// It leaves the default only for a variant whose expected gain is beyond 2 % and beyond twice its own error, and never
// for one that failed a check anywhere in the class.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backplane/autotune/store.h"
#include "backplane/host/device.h"
#include "shape_features.h"
#include "regression.h"

namespace backplane::autotune {

struct Guess {
  std::string variant;  ///< empty: the default is as good as can be told
  std::string why;      ///< empty: nothing is expected to be faster
};

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
  const Regression* fitted(const Pair& pair);

  uint32_t units_;
  Peaks peaks_;
  std::vector<Row> rows_;
  std::vector<std::string> faulty_;
  std::map<Pair, std::unique_ptr<Regression>> fits_;
};

}  // namespace backplane::autotune
