// SPDX-License-Identifier: Apache-2.0
// The same model as eager_mnist.cpp, captured: the step is an ordinary function, traced once and then run as a plan.
#include "mnist.h"

int main() {
  mnist::Source data;
  const bp::Variable W(bp::zeros({784, 10}), "W");

  auto train_step = bp::compile([&](const bp::Tensor& x, const bp::Tensor& y_) {
    const bp::Tensor y = bp::softmax(bp::matmul(x, W));
    const bp::Tensor cross_entropy = bp::mean(-bp::sum(y_ * bp::log(y), {1}));
    W.zero_grad();
    cross_entropy.backward();
    W.assign(W - 0.1 * W.grad());
    return cross_entropy;
  });
  for (int i = 0; i < 1000; ++i) {
    const mnist::Batch batch = data.next_batch(100);
    train_step(batch.x, batch.y_);
  }

  auto accuracy = bp::compile([&](const bp::Tensor& x, const bp::Tensor& y_) {
    return bp::mean(bp::cast(bp::equal(bp::argmax(bp::matmul(x, W), 1), bp::argmax(y_, 1)), bp::f32));
  });
  const mnist::Batch test = data.test();
  return mnist::report("compiled_mnist", accuracy(test.x, test.y_).item());
}
