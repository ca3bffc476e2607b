// SPDX-License-Identifier: Apache-2.0
// Training and inference steps of the models that `backplane train` knows. A step's loss (an inference's logits) must
// be what the reference device gives for the same weights and images.
#include <cmath>

#include "backplane/backplane.h"
#include "backplane/graph/runtime.h"
#include "backplane/host/registry.h"
#include "busy.h"
#include "cli/models.h"
#include "cli/trainer.h"
#include "kernels.h"
#include "program_job.h"

namespace backplane::bench {

namespace {

constexpr double kAllowed = 1e-3;  // relative: f32 sums in another order, through a whole network

/// A model with its optimiser and one batch, on the default device.
struct Setting {
  cli::ImageShape image;
  nn::Sequential model;
  optim::Adam optimizer;
  Tensor images, labels;
  std::unique_ptr<cli::Trainer> trainer;

  Setting(const cli::ModelEntry& entry, const std::string& mode, int64_t batch)
      : model(seeded(entry, image)),
        optimizer(nn::parameters(model), optim::AdamOptions{.learning_rate = entry.learning_rate}),
        images(Tensor::from(std::span<const float>(random_floats(batch * 28 * 28, 2)), {batch, 1, 28, 28})),
        labels(Tensor::from(std::span<const int32_t>(some_labels(batch)), {batch})),
        trainer(cli::make_trainer(mode, model, optimizer, {1, 28, 28})) {}

 private:
  static nn::Sequential seeded(const cli::ModelEntry& entry, const cli::ImageShape& image) {
    manual_seed(1);
    return entry.make(image);
  }
  static std::vector<int32_t> some_labels(int64_t batch) {
    std::vector<int32_t> labels(static_cast<size_t>(batch));
    for (size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<int32_t>(i % 10);
    return labels;
  }
};

/// While it lives, new tensors are made on `device`.
class OnDevice {
 public:
  explicit OnDevice(const host::DevicePtr& device) : before_(default_device()) {
    set_default_device(Device(graph::Stream::of(device)));
  }
  ~OnDevice() { set_default_device(before_); }

 private:
  Device before_;
};

std::shared_ptr<Setting> make_setting(const ProgramArguments& a, const host::DevicePtr& device) {
  const OnDevice on(device);
  return std::make_shared<Setting>(cli::find_model(a.word("model", "mlp")), a.word("mode", "compiled"),
                                   a.dimension("N"));
}

double relative(double a, double b) { return std::abs(a - b) / std::max(std::abs(b), 1.0); }

using Use = Tensor (*)(Setting& setting);

/// Times `use`, whose first result has to be what the reference device gives. What the first step takes beyond a later
/// one is building.
Work checked(const ProgramArguments& a, Use use, double allowed) {
  const auto value = [&](const host::DevicePtr& device) {
    const auto setting = make_setting(a, device);
    const OnDevice on(device);
    return use(*setting).item();
  };
  Work work;
  const double right = value(host::Registry::instance().reference());
  work.error = relative(value(a.device), right), work.allowed = allowed;
  const auto setting = make_setting(a, a.device);
  const auto step = [setting, use, device = a.device] {
    const OnDevice on(device);
    use(*setting);
  };
  const graph::StreamPtr stream = graph::Stream::of(a.device);
  const auto timed = [&] {
    const int64_t start = now_ns();
    step();
    stream->finish();
    return static_cast<double>(now_ns() - start);
  };
  const double first_ns = timed();
  work.compile_ns = std::max(0.0, first_ns - timed());
  work.call = step, work.finish = [stream] { stream->finish(); };
  return work;
}

Work train(const ProgramArguments& a) {
  return checked(a, [](Setting& s) { return s.trainer->step(s.images, s.labels); }, kAllowed);
}

Work infer(const ProgramArguments& a) {
  // Of the images: two classes may be as likely.
  return checked(a, [](Setting& s) { return s.trainer->correct(s.images, s.labels); }, 0.1);
}

constexpr Program kPrograms[] = {
    {"train", "one training step on N images: model=logistic|mlp|cnn, mode=eager|compiled|symbolic", false, train},
    {"infer", "the classes of N images: model, mode", false, infer},
};

}  // namespace

std::span<const Program> model_programs() { return kPrograms; }

}  // namespace backplane::bench
