// SPDX-License-Identifier: Apache-2.0
// Float tensors laid end to end in a few long ones, so that many small tensors cross in one exchange. Halves travel as
// f32: exact, and sums of them are rounded once.
#pragma once

#include <span>
#include <vector>

#include "backplane/functions.h"

namespace backplane::parallel {

class Buckets {
 public:
  /// A bucket is closed before it exceeds `bytes`; a tensor longer than that has one of its own.
  Buckets(std::vector<Type> types, int64_t bytes);

  size_t size() const { return buckets_.size(); }
  /// One tensor per type, each bucket times `factor` (a scalar) when that is defined. Works on graph values, too.
  std::vector<Tensor> pack(std::span<const Tensor> tensors, const Tensor& factor = {}) const;
  /// The inverse: tensors of the given types.
  std::vector<Tensor> unpack(std::span<const Tensor> buckets) const;
  /// Buckets full of zeros, on the default device.
  std::vector<Tensor> zeros() const;

 private:
  struct Place {
    size_t bucket;
    int64_t begin;
  };
  struct Bucket {
    DType dtype;
    int64_t elements;
  };
  std::vector<Type> types_;
  std::vector<Place> places_;  ///< by type
  std::vector<Bucket> buckets_;
};

}  // namespace backplane::parallel
