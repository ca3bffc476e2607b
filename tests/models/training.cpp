// SPDX-License-Identifier: Apache-2.0
#include "models/training.h"

#include "backplane/host_random.h"

namespace backplane::tests {
namespace {

Tensor images_of(const Batch& batch, const Shape& image) {
  Shape shape{static_cast<int64_t>(batch.labels.size())};
  for (const int64_t extent : image) shape.push_back(extent);
  return Tensor::from(batch.images, shape);
}
Tensor labels_of(const Batch& batch) {
  return Tensor::from(batch.labels, {static_cast<int64_t>(batch.labels.size())});
}

Tensor step(nn::Sequential& model, optim::Optimizer& optimizer, const Tensor& x, const Tensor& y) {
  optimizer.zero_grad();
  const Tensor loss = sparse_cross_entropy(model(x), y);
  loss.backward();
  optimizer.step();
  return loss.detach();
}

using Step = std::function<Tensor(const Tensor&, const Tensor&)>;

void run_eager(nn::Sequential& model, optim::Optimizer& optimizer, const Program& program,
               const std::vector<Batch>& batches, Outcome& outcome) {
  for (const Batch& batch : batches) {
    const auto before = eager_node_counts();
    outcome.losses.push_back(step(model, optimizer, images_of(batch, program.image), labels_of(batch)).item());
    const auto after = eager_node_counts();
    outcome.nodes = {after.first - before.first, after.second - before.second};
  }
}

void run_captured(nn::Sequential& model, optim::Optimizer& optimizer, const Program& program,
                  const std::vector<Batch>& batches, Outcome& outcome) {
  auto compiled = compile(Step([&](const Tensor& x, const Tensor& y) { return step(model, optimizer, x, y); }));
  for (const Batch& batch : batches) {
    outcome.losses.push_back(compiled(images_of(batch, program.image), labels_of(batch)).item());
  }
  if (compiled.traces() != 1) throw Error("the step was traced " + std::to_string(compiled.traces()) + " times");
  outcome.nodes = compiled.node_counts();
}

void run_symbolic(nn::Sequential& model, optim::Optimizer& optimizer, const Program& program,
                  const std::vector<Batch>& batches, Outcome& outcome) {
  Graph graph;
  Tensor x, y;
  std::vector<Fetch> fetches;
  {
    const auto building = graph.build();
    Shape shape{dyn};
    for (const int64_t extent : program.image) shape.push_back(extent);
    x = placeholder(f32, shape, "x");
    y = placeholder(i32, {dyn}, "y");
    const Tensor loss = sparse_cross_entropy(model(x), y);
    fetches.emplace_back(loss);
    for (const Assignment& each : optimizer.apply(gradients(loss, optimizer.tensors()))) fetches.emplace_back(each);
  }
  Session session;
  for (const Batch& batch : batches) {
    outcome.losses.push_back(
        session.run(fetches, {{x, images_of(batch, program.image)}, {y, labels_of(batch)}})[0].item());
  }
  outcome.nodes = session.node_counts();
}

}  // namespace

std::vector<Batch> make_batches(int64_t steps, int64_t batch, int64_t features, int32_t classes, uint64_t seed) {
  const auto low = static_cast<uint32_t>(seed);
  std::vector<float> centres(static_cast<size_t>(features * classes));
  host_normal({low, 0, 0, 0}, centres);
  std::vector<Batch> batches(static_cast<size_t>(steps));
  for (size_t s = 0; s < batches.size(); ++s) {
    Batch& b = batches[s];
    b.images.resize(static_cast<size_t>(batch * features));
    host_normal({low, 1, static_cast<uint32_t>(s), 0}, b.images);
    for (int64_t i = 0; i < batch; ++i) {
      const auto label = static_cast<int32_t>((i + static_cast<int64_t>(s)) % classes);
      b.labels.push_back(label);
      for (int64_t f = 0; f < features; ++f)
        b.images[static_cast<size_t>(i * features + f)] += centres[static_cast<size_t>(label * features + f)];
    }
  }
  return batches;
}

Outcome train(const Program& program, Mode mode, const std::vector<Batch>& batches) {
  manual_seed(5);
  nn::Sequential model = program.model();
  const auto optimizer = program.optimizer(nn::parameters(model));
  Outcome outcome;
  const auto run = mode == Mode::eager ? run_eager : mode == Mode::symbolic ? run_symbolic : run_captured;
  run(model, *optimizer, program, batches, outcome);
  for (const Variable& each : optimizer->parameters()) {
    outcome.variables.emplace_back(each.name(), each.read().to_bytes());
    outcome.weights.emplace_back(each.name(), each.read().to_vector<float>());
  }
  for (const Variable& each : optimizer->state()) outcome.variables.emplace_back(each.name(), each.read().to_bytes());
  return outcome;
}

}  // namespace backplane::tests
