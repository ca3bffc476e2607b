// SPDX-License-Identifier: Apache-2.0
// An axis that a tensor does not have: normalize_axis() knows neither operands nor line, infer_types() adds them.
#pragma once

#include <string>

#include "backplane/graph/types.h"

namespace backplane::graph {

class AxisError : public Error {
 public:
  AxisError(std::string_view op, int64_t axis, int rank)
      : Error("[" + std::string(op) + "] " + describe(axis, rank)), problem_(describe(axis, rank)), rank_(rank) {}

  const std::string& problem() const { return problem_; }
  std::string remedy() const {
    if (rank_ == 0) return "a scalar has no axes";
    return "axes are 0 to " + std::to_string(rank_ - 1) + ", or -" + std::to_string(rank_) + " to -1 from the end";
  }

 private:
  static std::string describe(int64_t axis, int rank) {
    return "axis " + std::to_string(axis) + " is out of range for rank " + std::to_string(rank);
  }
  std::string problem_;
  int rank_;
};

}  // namespace backplane::graph
