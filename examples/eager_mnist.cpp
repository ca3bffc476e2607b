// SPDX-License-Identifier: Apache-2.0
// The same model as tinyflow_mnist.cpp, define-and-run: every line computes at once.
#include "mnist.h"

int main() {
  mnist::Source data;
  const bp::Variable W(bp::zeros({784, 10}), "W");

  for (int i = 0; i < 1000; ++i) {
    const mnist::Batch batch = data.next_batch(100);
    const bp::Tensor y = bp::softmax(bp::matmul(batch.x, W));
    const bp::Tensor cross_entropy = bp::mean(-bp::sum(batch.y_ * bp::log(y), {1}));
    W.zero_grad();
    cross_entropy.backward();
    W.assign(W - 0.1 * W.grad());
  }

  const mnist::Batch test = data.test();
  const bp::Tensor y = bp::softmax(bp::matmul(test.x, W));
  return mnist::report("eager_mnist",
                       bp::mean(bp::cast(bp::equal(bp::argmax(y, 1), bp::argmax(test.y_, 1)), bp::f32)).item());
}
