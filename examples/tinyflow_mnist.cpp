// SPDX-License-Identifier: Apache-2.0
// The program that lectures on deep learning begin with, define-then-run: build a graph of softmax regression, take
// its gradients, and let a session run it a thousand times. Twins: eager_mnist.cpp and compiled_mnist.cpp.
#include "mnist.h"

int main() {
  mnist::Source data;
  bp::Graph graph;
  const bp::Variable W(bp::zeros({784, 10}), "W");

  bp::Tensor x, y_, accuracy;
  bp::Assignment train_step;
  {
    const auto building = graph.build();  // variables are read symbolically in here
    x = bp::placeholder(bp::f32, {bp::dyn, 784}, "x");
    y_ = bp::placeholder(bp::f32, {bp::dyn, 10}, "y_");
    const bp::Tensor y = bp::softmax(bp::matmul(x, W));
    const bp::Tensor cross_entropy = bp::mean(-bp::sum(y_ * bp::log(y), {1}));
    const std::vector<bp::Tensor> gradients = bp::gradients(cross_entropy, std::vector<bp::Tensor>{W});
    // Fashion-MNIST is brighter than MNIST: with the lectures' step of 0.5 the loss would swing.
    train_step = W.assign(W - 0.1 * gradients[0]);
    accuracy = bp::mean(bp::cast(bp::equal(bp::argmax(y, 1), bp::argmax(y_, 1)), bp::f32));
  }

  bp::Session session;  // on BACKPLANE_DEVICE, or the best device there is
  bp::initialize_all_variables();
  for (int i = 0; i < 1000; ++i) {
    const mnist::Batch batch = data.next_batch(100);
    session.run(train_step, {{x, batch.x}, {y_, batch.y_}});
  }
  const mnist::Batch test = data.test();
  return mnist::report("tinyflow_mnist", session.run(accuracy, {{x, test.x}, {y_, test.y_}}).item());
}
