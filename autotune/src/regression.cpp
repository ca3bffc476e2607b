// SPDX-License-Identifier: Apache-2.0
#include "regression.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace backplane::autotune {
namespace {

constexpr double kConstant = 10, kLinear = 0.05;  // variances, relative to the local part's
constexpr double kLengths[] = {1.5, 4}, kNoises[] = {0.03, 0.3};
constexpr double kFromAll = 2;  // points' worth of trust in the error over all points, beside that of near ones

double distance2(const Features& a, const Features& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

/// The inverse of a symmetric positive definite n x n matrix, by Cholesky's decomposition.
std::vector<double> inverse_of(std::vector<double> a, size_t n) {
  for (size_t j = 0; j < n; ++j) {
    for (size_t i = j; i < n; ++i) {
      double sum = a[i * n + j];
      for (size_t k = 0; k < j; ++k) sum -= a[i * n + k] * a[j * n + k];
      a[i * n + j] = i == j ? std::sqrt(sum) : sum / a[j * n + j];
    }
  }
  std::vector<double> l(n * n, 0);  // the inverse of the lower triangle
  for (size_t j = 0; j < n; ++j) {
    l[j * n + j] = 1 / a[j * n + j];
    for (size_t i = j + 1; i < n; ++i) {
      double sum = 0;
      for (size_t k = j; k < i; ++k) sum -= a[i * n + k] * l[k * n + j];
      l[i * n + j] = sum / a[i * n + i];
    }
  }
  std::vector<double> inverse(n * n, 0);
  for (size_t k = 0; k < n; ++k) {
    for (size_t i = 0; i <= k; ++i) {
      for (size_t j = 0; j <= i; ++j) inverse[i * n + j] += l[k * n + i] * l[k * n + j];
    }
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < i; ++j) inverse[j * n + i] = inverse[i * n + j];
  }
  return inverse;
}

}  // namespace

Regression::Regression(std::vector<Features> points, const std::vector<double>& targets) : points_(std::move(points)) {
  centre_.assign(points_.front().size(), 0);
  for (const Features& each : points_) {
    for (size_t i = 0; i < centre_.size(); ++i) centre_[i] += each[i] / static_cast<double>(points_.size());
  }
  Shape best{};
  double least = std::numeric_limits<double>::infinity();
  for (const double length : kLengths) {
    for (const double noise : kNoises) {
      fit({length, noise}, targets);
      if (left_out_error_ < least) least = left_out_error_, best = shape_;
    }
  }
  if (best.length != shape_.length || best.noise != shape_.noise) fit(best, targets);
}

double Regression::similarity(const Features& a, const Features& b) const {
  double linear = 0;
  for (size_t i = 0; i < a.size(); ++i) linear += (a[i] - centre_[i]) * (b[i] - centre_[i]);
  return kConstant + kLinear * linear + nearness(a, b);
}

double Regression::nearness(const Features& a, const Features& b) const {
  return std::exp(-distance2(a, b) / (2 * shape_.length * shape_.length));
}

void Regression::fit(Shape shape, const std::vector<double>& targets) {
  const size_t n = points_.size();
  shape_ = shape;
  std::vector<double> matrix(n * n);
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j)
      matrix[i * n + j] = similarity(points_[i], points_[j]) + (i == j ? shape.noise : 0);
  }
  inverse_ = inverse_of(std::move(matrix), n);
  weights_.assign(n, 0);
  left_out_.assign(n, 0);
  surprise_.assign(n, 0);
  double squares = 0;
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) weights_[i] += inverse_[i * n + j] * targets[j];
    const double error = weights_[i] / inverse_[i * n + i];
    left_out_[i] = targets[i] - error;
    surprise_[i] = error * error * inverse_[i * n + i];
    squares += error * error;
  }
  left_out_error_ = std::sqrt(squares / static_cast<double>(n));
}

Prediction Regression::at(const Features& x) const {
  const size_t n = points_.size();
  std::vector<double> like(n);
  double near = 0, surprise_near = 0, surprise_all = 0;
  for (size_t i = 0; i < n; ++i) {
    like[i] = similarity(x, points_[i]);
    near += nearness(x, points_[i]), surprise_near += nearness(x, points_[i]) * surprise_[i];
    surprise_all += surprise_[i] / static_cast<double>(n);
  }
  double value = 0, known = 0;
  for (size_t i = 0; i < n; ++i) {
    value += like[i] * weights_[i];
    for (size_t j = 0; j < n; ++j) known += like[i] * inverse_[i * n + j] * like[j];
  }
  const double variance = std::max(similarity(x, x) + shape_.noise - known, shape_.noise);
  const double scale = (surprise_near + kFromAll * surprise_all) / (near + kFromAll);
  return {value, std::sqrt(scale * variance)};
}

}  // namespace backplane::autotune
