// SPDX-License-Identifier: Apache-2.0
#include "mnist.h"

#include <cstdio>

#include "backplane/file_error.h"

namespace mnist {
namespace {

constexpr int32_t kClasses = 10;
constexpr double kLearned = 0.70;

Batch tensors(const bp::data::Batch& batch) {
  const bp::Tensor labels = bp::Tensor::from(batch.labels, {batch.shape[0]});
  return {bp::Tensor::from(batch.images, bp::Shape(batch.shape)), bp::one_hot(labels, kClasses)};
}

/// Images of one draw, cut into two sets.
bp::data::ImageData made_up() {
  constexpr int64_t kTrain = 4096, kTest = 1000, kPixels = 28 * 28;
  bp::data::ImageData data;
  data.train = data.test = bp::data::synthetic_images(kTrain + kTest, kClasses, 28, 28, 1);
  data.train.count = kTrain;
  data.train.pixels.resize(kTrain * kPixels);
  data.train.labels.resize(kTrain);
  data.test.count = kTest;
  data.test.pixels.erase(data.test.pixels.begin(), data.test.pixels.begin() + kTrain * kPixels);
  data.test.labels.erase(data.test.labels.begin(), data.test.labels.begin() + kTrain);
  return data;
}

}  // namespace

Source::Source() {
  try {
    data_ = bp::data::fashion_mnist();
    std::printf("data: Fashion-MNIST, %lld images\n", static_cast<long long>(data_.train.count));
  } catch (const bp::FileError& error) {
    data_ = made_up();
    std::printf("data: made up, because of: %s\n", error.what());
  }
}

Batch Source::next_batch(int64_t n) {
  if (batches_ == nullptr) {
    batches_ = std::make_unique<bp::data::Batches>(
        data_.train, bp::data::BatchOptions{.batch_size = n, .shuffle = true, .drop_last = true, .flat = true});
  }
  bp::data::Batch batch;
  if (!batches_->next(batch)) batches_->next(batch);  // an epoch has ended
  return tensors(batch);
}

Batch Source::test() const {
  bp::data::Batches all(data_.test, {.batch_size = data_.test.count, .shuffle = false, .flat = true});
  bp::data::Batch batch;
  all.next(batch);
  return tensors(batch);
}

int report(const char* name, double accuracy) {
  std::printf("%s: test accuracy %.2f %% on %s\n", name, 100 * accuracy, bp::default_device().name().c_str());
  return accuracy >= kLearned ? 0 : 1;
}

}  // namespace mnist
