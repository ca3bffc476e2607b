// SPDX-License-Identifier: Apache-2.0
// What the three MNIST examples share: batches of flat images with their labels, and where the images came from.
#pragma once

#include <cstdint>
#include <string>

#include "backplane/backplane.h"
#include "backplane/data/batches.h"

namespace mnist {

struct Batch {
  bp::Tensor x;   ///< f32[n, 784], pixels in [0, 1]
  bp::Tensor y_;  ///< f32[n, 10], one-hot
};

/// Fashion-MNIST when its package is installed, else images that are made up; says which on stdout.
class Source {
 public:
  Source();
  Batch next_batch(int64_t n);  ///< shuffled, endless; the same n in every call
  Batch test() const;           ///< all test images

 private:
  bp::data::ImageData data_;
  std::unique_ptr<bp::data::Batches> batches_;
};

/// Prints the result; the exit code of the example: 0 when the model has learned (at least 70 %).
int report(const char* name, double accuracy);

}  // namespace mnist
