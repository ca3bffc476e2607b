// SPDX-License-Identifier: Apache-2.0
#include "cli/trainer.h"

#include <functional>

#include "backplane/backplane.h"
#include "cli/command.h"

namespace backplane::cli {

Tensor train_step(nn::Sequential& model, optim::Optimizer& optimizer, const Tensor& images, const Tensor& labels) {
  optimizer.zero_grad();
  const Tensor loss = sparse_cross_entropy(model(images), labels);
  loss.backward();
  optimizer.step();
  return loss.detach();
}

Tensor count_correct(const nn::Sequential& model, const Tensor& images, const Tensor& labels) {
  const NoGrad no_grad;
  return sum(cast(equal(cast(argmax(model(images), -1), i32), labels), i32));
}

namespace {

class EagerTrainer final : public Trainer {
 public:
  EagerTrainer(nn::Sequential& model, optim::Optimizer& optimizer) : model_(model), optimizer_(optimizer) {}
  Tensor step(const Tensor& images, const Tensor& labels) override {
    const auto before = eager_node_counts();
    const Tensor loss = train_step(model_, optimizer_, images, labels);
    const auto after = eager_node_counts();
    counts_ = {after.first - before.first, after.second - before.second};
    return loss;
  }
  Tensor correct(const Tensor& images, const Tensor& labels) override {
    return count_correct(model_, images, labels);
  }
  void set_learning_rate(double rate) override { optimizer_.set_learning_rate(rate); }
  std::pair<size_t, size_t> node_counts() const override { return counts_; }

 private:
  nn::Sequential& model_;
  optim::Optimizer& optimizer_;
  std::pair<size_t, size_t> counts_;
};

class CompiledTrainer final : public Trainer {
 public:
  CompiledTrainer(nn::Sequential& model, optim::Optimizer& optimizer)
      : optimizer_(optimizer),
        step_(
            [&](const Tensor& images, const Tensor& labels) { return train_step(model, optimizer, images, labels); }),
        correct_([&](const Tensor& images, const Tensor& labels) { return count_correct(model, images, labels); }) {}
  Tensor step(const Tensor& images, const Tensor& labels) override { return step_(images, labels); }
  Tensor correct(const Tensor& images, const Tensor& labels) override { return correct_(images, labels); }
  void set_learning_rate(double rate) override { optimizer_.set_learning_rate(rate); }
  std::pair<size_t, size_t> node_counts() const override { return step_.node_counts(); }

 private:
  optim::Optimizer& optimizer_;
  using Function = std::function<Tensor(const Tensor&, const Tensor&)>;
  Compiled<Function> step_, correct_;
};

class SymbolicTrainer final : public Trainer {
 public:
  SymbolicTrainer(nn::Sequential& model, optim::Optimizer& optimizer, const Shape& image) : optimizer_(optimizer) {
    const auto building = graph_.build();
    Shape batch{dyn};
    for (const int64_t extent : image) batch.push_back(extent);
    images_ = placeholder(f32, batch, "images");
    labels_ = placeholder(i32, {dyn}, "labels");
    const nn::StateUpdates updates;
    const Tensor loss = sparse_cross_entropy(model(images_), labels_);
    step_.push_back(loss);
    for (const Assignment& each : optimizer.apply(gradients(loss, optimizer.tensors()))) step_.push_back(each);
    for (const Assignment& each : updates.assignments()) step_.push_back(each);
    correct_ = count_correct(model, images_, labels_);
  }
  Tensor step(const Tensor& images, const Tensor& labels) override {
    const Tensor loss = session_.run(step_, {{images_, images}, {labels_, labels}}).front();
    counts_ = session_.node_counts();
    return loss;
  }
  Tensor correct(const Tensor& images, const Tensor& labels) override {
    return session_.run(correct_, {{images_, images}, {labels_, labels}});
  }
  void set_learning_rate(double rate) override { optimizer_.set_learning_rate(rate); }
  std::pair<size_t, size_t> node_counts() const override { return counts_; }

 private:
  optim::Optimizer& optimizer_;
  Graph graph_;
  Session session_;
  Tensor images_, labels_, correct_;
  std::vector<Fetch> step_;
  std::pair<size_t, size_t> counts_;
};

}  // namespace

std::unique_ptr<Trainer> make_trainer(std::string_view mode, nn::Sequential& model, optim::Optimizer& optimizer,
                                      const Shape& image) {
  if (mode == "eager") return std::make_unique<EagerTrainer>(model, optimizer);
  if (mode == "compiled") return std::make_unique<CompiledTrainer>(model, optimizer);
  if (mode == "symbolic") return std::make_unique<SymbolicTrainer>(model, optimizer, image);
  throw CommandError(ExitCode::usage, "[train] there is no mode '" + std::string(mode) + "'");
}

}  // namespace backplane::cli
