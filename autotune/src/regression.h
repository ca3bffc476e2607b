// SPDX-License-Identifier: Apache-2.0
// A small regression that knows how wrong it is: a Gaussian process with a constant, a linear and a local part, fitted
// in closed form. It takes the trend from all points and what the trend misses from the neighbours.
//
// Rasmussen and Williams, "Gaussian Processes for Machine Learning" (2006): prediction 2.25, leaving one out 5.12. Its
// own guess of its error is scaled by what leaving out each point really gave, near points first, so it holds whatever
// the noise is and where some regions are harder than others; far from all points it grows. No randomness, nothing
// iterated: equal points give equal answers.
#pragma once

#include <cstddef>
#include <vector>

namespace backplane::autotune {

using Features = std::vector<double>;

struct Prediction {
  double value = 0;
  double error = 0;  ///< standard error
};

class Regression {
 public:
  /// At least two points, all of equal length. About points^3 steps.
  Regression(std::vector<Features> points, const std::vector<double>& targets);

  Prediction at(const Features& x) const;
  /// What each point's target is predicted as from the others.
  const std::vector<double>& left_out() const { return left_out_; }
  /// Root of the mean square error of that.
  double left_out_error() const { return left_out_error_; }

 private:
  struct Shape {
    double length;  ///< how far the local part reaches
    double noise;   ///< variance of a target, relative to the local part's
  };
  void fit(Shape shape, const std::vector<double>& targets);
  double similarity(const Features& a, const Features& b) const;
  double nearness(const Features& a, const Features& b) const;  ///< its local part: 1 at the same place

  std::vector<Features> points_;
  Features centre_;
  Shape shape_{};
  std::vector<double> inverse_;  ///< of the matrix of similarities, rows one after the other
  std::vector<double> weights_;  ///< inverse x targets
  std::vector<double> left_out_;
  std::vector<double> surprise_;  ///< square of each point's error when left out, over the variance expected of it
  double left_out_error_ = 0;
};

}  // namespace backplane::autotune
