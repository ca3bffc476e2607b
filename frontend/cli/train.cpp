// SPDX-License-Identifier: Apache-2.0
// `backplane train`: data, model, loop, test, result. Everything that can be refused is refused before the first
// step.
#include <chrono>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "backplane/backplane.h"
#include "backplane/data/batches.h"
#include "backplane/data/images.h"
#include "backplane/graph/runtime.h"
#include "backplane/graph/trace.h"
#include "backplane/io/atomic_file.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/models.h"
#include "cli/progress.h"
#include "cli/replicas.h"
#include "cli/trainer.h"

namespace backplane::cli {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int64_t kSyntheticTrain = 2048, kSyntheticTest = 512, kSyntheticSize = 28;
constexpr int32_t kSyntheticClasses = 10;
constexpr int64_t kTestBatch = 1000;

struct EpochResult {
  double loss = 0, seconds = 0, images_per_second = 0;
};
struct Result {
  std::vector<EpochResult> epochs;
  double accuracy = 0;
  std::pair<size_t, size_t> nodes;
};

data::ImageData load_data(const TrainOptions& o) {
  data::ImageData found;
  if (o.data == "synthetic") {
    // One call, so that both sets show the same classes; then cut in two.
    const int64_t count = kSyntheticTrain + kSyntheticTest;
    found.train = data::synthetic_images(count, kSyntheticClasses, kSyntheticSize, kSyntheticSize, o.seed);
    found.test = found.train;
    const auto pixels = static_cast<size_t>(found.train.pixels_per_image());
    found.train.count = kSyntheticTrain;
    found.train.pixels.resize(kSyntheticTrain * pixels);
    found.train.labels.resize(kSyntheticTrain);
    found.test.count = kSyntheticTest;
    found.test.pixels.erase(found.test.pixels.begin(),
                            found.test.pixels.begin() + static_cast<std::ptrdiff_t>(kSyntheticTrain * pixels));
    found.test.labels.erase(found.test.labels.begin(), found.test.labels.begin() + kSyntheticTrain);
  } else {
    found = data::fashion_mnist(o.data_directory);
  }
  if (o.limit > 0 && o.limit < found.train.count) {
    found.train.count = o.limit;
    found.train.pixels.resize(static_cast<size_t>(o.limit * found.train.pixels_per_image()));
    found.train.labels.resize(static_cast<size_t>(o.limit));
  }
  return found;
}

Tensor images_of(const data::Batch& batch) { return Tensor::from(batch.images, Shape(batch.shape)); }
Tensor labels_of(const data::Batch& batch) { return Tensor::from(batch.labels, {batch.shape[0]}); }

/// Losses are read only when somebody looks, or when many have gathered: reading waits for the device.
class LossMean {
 public:
  void add(Tensor loss) {
    pending_.push_back(std::move(loss));
    if (pending_.size() >= kMostPending) settle();
  }
  double latest() {
    settle();
    return latest_;
  }
  double mean() {
    settle();
    return count_ > 0 ? sum_ / static_cast<double>(count_) : 0;
  }

 private:
  static constexpr size_t kMostPending = 256;
  void settle() {
    for (const Tensor& loss : pending_) {
      latest_ = loss.item();
      sum_ += latest_;
      ++count_;
    }
    pending_.clear();
  }
  std::vector<Tensor> pending_;
  double sum_ = 0, latest_ = 0;
  int64_t count_ = 0;
};

EpochResult run_epoch(int64_t epoch, data::Batches& batches, Trainer& trainer, const optim::Schedule& rate,
                      Progress& progress) {
  const Clock::time_point start = Clock::now();
  LossMean loss;
  data::Batch batch;
  int64_t done = 0, step = (epoch - 1) * batches.batches_per_epoch();
  while (batches.next(batch)) {
    trainer.set_learning_rate(rate(step++));
    loss.add(trainer.step(images_of(batch), labels_of(batch)));
    done += batch.shape[0];
    if (interrupted()) break;
    if (progress.due()) progress.show(epoch, done, loss.latest());
  }
  EpochResult result;
  result.loss = loss.mean();
  result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  result.images_per_second = static_cast<double>(done) / std::max(result.seconds, 1e-9);
  if (!std::isfinite(result.loss)) {
    throw CommandError(ExitCode::failure,
                       fmt::format("[train] the loss of epoch {} is {} / lower the learning rate, now "
                                   "{}, with --lr",
                                   epoch, result.loss, rate(0)));
  }
  return result;
}

/// Until they are done, or Ctrl-C.
Result run_epochs(int64_t epochs, data::Batches& batches, Trainer& trainer, const optim::Schedule& rate,
                  Progress& progress) {
  catch_interrupt();
  Result result;
  for (int64_t epoch = 1; epoch <= epochs && !interrupted(); ++epoch) {
    result.epochs.push_back(run_epoch(epoch, batches, trainer, rate, progress));
    const EpochResult& now = result.epochs.back();
    progress.end_epoch(epoch, now.loss, now.images_per_second, now.seconds);
  }
  result.nodes = trainer.node_counts();
  return result;
}

double test_accuracy(const data::ImageSet& set, const data::PixelStatistics& pixels, Trainer& trainer) {
  data::Batches batches(set, {.batch_size = std::min(kTestBatch, set.count),
                              .shuffle = false,
                              .mean = pixels.mean,
                              .stddev = pixels.stddev});
  data::Batch batch;
  std::vector<Tensor> counts;
  while (batches.next(batch)) counts.push_back(trainer.correct(images_of(batch), labels_of(batch)));
  double correct = 0;
  for (const Tensor& each : counts) correct += each.item();
  return correct / static_cast<double>(set.count);
}

graph::Stream::Builds builds_of(const std::vector<Device>& devices) {
  graph::Stream::Builds all;
  for (const Device& each : devices) {
    const graph::Stream::Builds builds = each.stream()->builds();
    all = {all.kernels + builds.kernels, all.time_ns + builds.time_ns};
  }
  return all;
}

std::string node_line(const std::vector<Device>& devices, const std::pair<size_t, size_t>& nodes) {
  std::string names;
  for (const Device& each : devices) names += (names.empty() ? "" : ", ") + each.name();
  const std::string fallback = nodes.second == 0
                                   ? "nothing fell back to the host"
                                   : fmt::format("{} fell back to the host (see: backplane explain)", nodes.second);
  const graph::Stream::Builds builds = builds_of(devices);
  const std::string compiled = builds.kernels == 0 ? ""
                                                   : fmt::format("; {} kernels were compiled, in {:.2f} s",
                                                                 builds.kernels, 1e-9 * static_cast<double>(builds.time_ns));
  return fmt::format("{} ran {} nodes a step, {}{}", names, nodes.first, fallback, compiled);
}

nlohmann::ordered_json to_json(const TrainOptions& o, const data::ImageData& images, const std::vector<Device>& devices,
                               const ReplicatedTrainer* replicas, int64_t parameters, double rate, const Result& result) {
  nlohmann::ordered_json epochs = nlohmann::ordered_json::array();
  for (const EpochResult& each : result.epochs) {
    epochs.push_back({{"loss", each.loss}, {"seconds", each.seconds}, {"images_per_second", each.images_per_second}});
  }
  const auto optional = [](const std::string& text) {
    return text.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(text);
  };
  const graph::Stream::Builds builds = builds_of(devices);
  return {{"schema", 1},
          {"command", "train"},
          {"data", {{"name", o.data}, {"train_images", images.train.count}, {"test_images", images.test.count}}},
          {"model", {{"name", o.model}, {"parameters", parameters}}},
          {"device", devices.front().name()},
          {"replicas", replicas != nullptr ? replicas->to_json() : nlohmann::ordered_json()},
          {"mode", o.mode},
          {"batch", o.batch},
          {"learning_rate", rate},
          {"seed", o.seed},
          {"epochs", epochs},
          {"nodes", {{"device", result.nodes.first}, {"fallback", result.nodes.second}}},
          {"compiled", {{"kernels", builds.kernels}, {"seconds", 1e-9 * static_cast<double>(builds.time_ns)}}},
          {"interrupted", interrupted().load()},
          {"test_accuracy", interrupted() ? nlohmann::ordered_json() : nlohmann::ordered_json(result.accuracy)},
          {"saved", optional(o.save)},
          {"trace", optional(o.trace)}};
}

void load_weights(const TrainOptions& o, nn::Sequential& model) {
  try {
    nn::load(o.load, model);
  } catch (const Error& error) {
    throw CommandError(ExitCode::file, error.what());  // it is the file that does not fit
  }
}

/// Makes the temporary file and drops it again: a path that cannot be written is found out before training.
void check_writable(const std::string& path) {
  if (!path.empty()) io::AtomicFile("train", path);
}

void write_files(const TrainOptions& o, nn::Sequential& model, std::optional<graph::Trace>& trace, Progress& progress) {
  if (!o.save.empty()) {
    nn::save(o.save, model, {{"model", o.model}, {"data", o.data}});
    progress.line("weights saved to " + o.save);
  }
  if (trace) {
    trace->write();
    progress.line("time line written to " + o.trace);
  }
}

}  // namespace

ExitCode run_train(const TrainOptions& o) {
  check_writable(o.save);
  check_writable(o.trace);
  const data::ImageData images = load_data(o);
  const data::PixelStatistics pixels = data::pixel_statistics(images.train);
  const std::vector<Device> devices =
      o.replicas.empty() ? std::vector<Device>{use_device(o.device)} : use_replicas(o.replicas);
  const Device& device = devices.front();
  std::optional<graph::Trace> trace;
  if (!o.trace.empty()) trace.emplace(o.trace).activate();

  manual_seed(o.seed);
  const ModelEntry& entry = find_model(o.model);
  const auto make = [&] {
    return entry.make({images.train.channels, images.train.height, images.train.width, images.train.classes});
  };
  nn::Sequential model = make();
  if (!o.load.empty()) load_weights(o, model);
  const double rate = o.learning_rate > 0 ? o.learning_rate : entry.learning_rate;
  std::optional<optim::Adam> optimizer;  // replicas have their own
  std::unique_ptr<Trainer> trainer;
  const ReplicatedTrainer* replicas = nullptr;
  if (o.replicas.empty()) {
    optimizer.emplace(nn::parameters(model), optim::AdamOptions{.learning_rate = rate});
    trainer = make_trainer(o.mode, model, *optimizer, {images.train.channels, images.train.height, images.train.width});
  } else {
    auto several = std::make_unique<ReplicatedTrainer>(o, devices, model, make, rate);
    replicas = several.get();
    trainer = std::move(several);
  }

  const int64_t batch = std::min(o.batch, images.train.count);
  data::Batches batches(images.train, {.batch_size = batch,
                                       .shuffle = true,
                                       .seed = o.seed,
                                       .drop_last = true,
                                       .mean = pixels.mean,
                                       .stddev = pixels.stddev});
  const int64_t steps = batches.batches_per_epoch();
  const optim::Schedule schedule = optim::cosine(rate, o.epochs * steps);
  const int64_t parameters = nn::count_parameters(model);
  Progress progress(o.json ? stderr : stdout, o.epochs, steps * batch);
  progress.line(fmt::format("{} ({} parameters) on {}, {}: {} training images of {}, batch {}, Adam {:g}", o.model,
                            parameters, replicas != nullptr ? replicas->describe() : device.name(), o.mode,
                            images.train.count, o.data, batch, rate));

  Result result = run_epochs(o.epochs, batches, *trainer, schedule, progress);
  if (!interrupted()) {
    nn::set_training(model, false);
    result.accuracy = test_accuracy(images.test, pixels, *trainer);
    progress.line(fmt::format("test accuracy {:.2f} % ({} images)", result.accuracy * 100, images.test.count));
  }
  if (o.epochs > 0) progress.line(node_line(devices, result.nodes));
  write_files(o, model, trace, progress);
  if (o.json) fmt::print("{}\n", to_json(o, images, devices, replicas, parameters, rate, result).dump(2));
  return interrupted() ? ExitCode::interrupted : ExitCode::ok;
}

}  // namespace backplane::cli
