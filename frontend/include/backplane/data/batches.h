// SPDX-License-Identifier: Apache-2.0
// Minibatches of an ImageSet: shuffled, normalised to f32 and prepared ahead by a background thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "backplane/data/images.h"

namespace backplane::data {

struct Batch {
  std::vector<float> images;    ///< row-major, of `shape`
  std::vector<int32_t> labels;  ///< shape[0] of them
  std::vector<int64_t> shape;   ///< [n, channels, height, width], or [n, pixels] when flat
  int64_t epoch = 0;
  int64_t index = 0;  ///< within the epoch
};

struct BatchOptions {
  int64_t batch_size = 100;
  bool shuffle = true;
  uint64_t seed = 0;       ///< the order of epoch e depends on (seed, e) and on nothing else
  bool drop_last = false;  ///< leave out a last batch that is not full, so that every batch has one shape
  bool flat = false;       ///< [n, pixels] instead of [n, channels, height, width]
  float mean = 0.0f;       ///< value = (pixel / 255 - mean) / stddev
  float stddev = 1.0f;
  int64_t prefetch = 4;  ///< batches prepared ahead; 0 prepares each when asked for, without a thread
};

/// The endless sequence of epochs of one data set. Used from one thread at a time. The set is borrowed: it outlives the
/// Batches and does not change meanwhile.
///
///   Batches batches(data.train, {.batch_size = 128});
///   Batch batch;
///   for (int epoch = 0; epoch < 5; ++epoch)
///     while (batches.next(batch)) step(batch);
class Batches {
 public:
  /// Throws std::invalid_argument for an inconsistent set or options that make no batch.
  Batches(const ImageSet& set, const BatchOptions& options);
  ~Batches();  // stops the thread at once, also in mid-epoch
  Batches(Batches&&) noexcept;
  Batches& operator=(Batches&&) noexcept;

  int64_t batches_per_epoch() const;

  /// The next batch of this epoch into `out`, whose memory is reused. False at the end of the epoch, once; the call
  /// after that gives the first batch of the next epoch. Rethrows what went wrong in the background.
  bool next(Batch& out);

  /// Go on with the first batch of `epoch`, for example when training is resumed.
  void seek(int64_t epoch);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A bounded queue filled by one background thread: what Batches is made of, usable for any source of batches.
/// `produce` fills its argument and returns false when there is no more; an exception from it reaches the consumer
/// after the batches produced before it, and again at every later call.
class Prefetcher {
 public:
  Prefetcher(std::function<bool(Batch&)> produce, int64_t depth);
  ~Prefetcher();  // waits for a running `produce`, discards what is queued
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  bool next(Batch& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace backplane::data
