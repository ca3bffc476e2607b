// SPDX-License-Identifier: Apache-2.0
// Minibatches and the thread that prepares them.
// Sampler decides which images, in which order; it is a pure function of (seed, epoch, index). Prefetcher runs it ahead
// in one thread behind a bounded queue whose batches go round: the consumer's old memory is what the thread fills next.
// Batches joins the two and finds the borders of epochs. Does not augment, and never drops or repeats an image.
#include "backplane/data/batches.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

namespace backplane::data {
namespace {

/// A permutation of 0 ... count - 1 that every machine computes alike (std::shuffle is not specified that far).
std::vector<uint32_t> epoch_order(int64_t count, uint64_t seed, int64_t epoch) {
  std::vector<uint32_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0u);
  const auto e = static_cast<uint64_t>(epoch);
  std::seed_seq mix{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32), static_cast<uint32_t>(e),
                    static_cast<uint32_t>(e >> 32)};
  std::mt19937_64 words(mix);
  // Fisher-Yates; the bias of the modulo is below count / 2^64.
  for (size_t left = order.size(); left > 1; --left) std::swap(order[left - 1], order[words() % left]);
  return order;
}

class Sampler {
 public:
  Sampler(const ImageSet& set, const BatchOptions& options) : set_(&set), options_(options) {
    validate(set, "the image set given to Batches");
    const auto require = [](bool holds, const char* what) {
      if (!holds) throw std::invalid_argument(std::string("[data] Batches: ") + what);
    };
    require(options.batch_size >= 1, "batch_size must be at least 1");
    require(options.prefetch >= 0 && options.prefetch <= 4096, "prefetch must be 0 to 4096 batches");
    require(options.stddev > 0, "stddev must be positive");
    require(set.count <= int64_t{UINT32_MAX}, "more than 2^32 - 1 images");
    require(per_epoch() >= 1,
            "the image set has no batch to give: it is empty, or smaller than one batch and drop_last is set");
    for (size_t level = 0; level < values_.size(); ++level) {
      values_[level] = (static_cast<float>(level) / 255.0f - options.mean) / options.stddev;
    }
  }

  int64_t per_epoch() const {
    const int64_t full = set_->count / options_.batch_size;
    return full + (!options_.drop_last && set_->count % options_.batch_size != 0 ? 1 : 0);
  }

  void seek(int64_t epoch) {
    epoch_ = epoch;
    index_ = 0;
    order_.clear();
  }

  bool fill(Batch& out) {
    if (index_ == per_epoch()) seek(epoch_ + 1);
    if (options_.shuffle && order_.empty()) order_ = epoch_order(set_->count, options_.seed, epoch_);
    const int64_t first = index_ * options_.batch_size;
    const int64_t n = std::min(options_.batch_size, set_->count - first);
    const int64_t pixels = set_->pixels_per_image();
    out.images.resize(static_cast<size_t>(n * pixels));
    out.labels.resize(static_cast<size_t>(n));
    if (options_.flat) {
      out.shape = {n, pixels};
    } else {
      out.shape = {n, set_->channels, set_->height, set_->width};
    }
    float* to = out.images.data();
    for (int64_t i = 0; i < n; ++i) {
      const auto at = static_cast<size_t>(first + i);
      const size_t image = options_.shuffle ? order_[at] : at;
      const uint8_t* from = set_->pixels.data() + image * static_cast<size_t>(pixels);
      for (int64_t p = 0; p < pixels; ++p) *to++ = values_[from[p]];
      out.labels[static_cast<size_t>(i)] = set_->labels[image];
    }
    out.epoch = epoch_;
    out.index = index_++;
    return true;
  }

  const BatchOptions& options() const { return options_; }

 private:
  const ImageSet* set_;
  BatchOptions options_;
  std::array<float, 256> values_;
  std::vector<uint32_t> order_;
  int64_t epoch_ = 0;
  int64_t index_ = 0;
};

}  // namespace

struct Prefetcher::State {
  std::function<bool(Batch&)> produce;
  size_t depth;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Batch> ready;
  std::vector<Batch> spare;
  std::exception_ptr failure;
  bool finished = false;
  bool stop = false;
  std::thread thread;

  void run() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [&] { return stop || ready.size() < depth; });
      if (stop) return;
      Batch batch;
      if (!spare.empty()) {
        batch = std::move(spare.back());
        spare.pop_back();
      }
      lock.unlock();
      bool more = false;
      std::exception_ptr thrown;
      try {
        more = produce(batch);
        lock.lock();
        if (more) ready.push_back(std::move(batch));
      } catch (...) {  // from `produce`, or no memory for the queue: either way the consumer hears of it
        thrown = std::current_exception();
        if (!lock.owns_lock()) lock.lock();
      }
      if (thrown) failure = thrown;
      if (!more || thrown) finished = true;
      changed.notify_all();
      if (finished) return;
    }
  }
};

Prefetcher::Prefetcher(std::function<bool(Batch&)> produce, int64_t depth) : state_(std::make_unique<State>()) {
  if (depth < 1 || !produce) throw std::invalid_argument("[data] Prefetcher needs a source and a depth of at least 1");
  state_->produce = std::move(produce);
  state_->depth = static_cast<size_t>(depth);
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

Prefetcher::~Prefetcher() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->changed.notify_all();
  state_->thread.join();
}

bool Prefetcher::next(Batch& out) {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [&] { return !state_->ready.empty() || state_->finished; });
  if (state_->ready.empty()) {
    if (state_->failure) std::rethrow_exception(state_->failure);
    return false;
  }
  std::swap(out, state_->ready.front());
  if (state_->spare.size() < state_->depth) state_->spare.push_back(std::move(state_->ready.front()));
  state_->ready.pop_front();
  lock.unlock();
  state_->changed.notify_all();
  return true;
}

struct Batches::State {
  explicit State(const ImageSet& set, const BatchOptions& options) : sampler(set, options) {}

  void start(int64_t at) {
    prefetcher.reset();  // the thread uses the sampler: it must have stopped before the sampler is moved elsewhere
    sampler.seek(at);
    epoch = at;
    given = 0;
    if (sampler.options().prefetch > 0) {
      prefetcher = std::make_unique<Prefetcher>([this](Batch& batch) { return sampler.fill(batch); },
                                                sampler.options().prefetch);
    }
  }

  Sampler sampler;
  int64_t epoch = 0;
  int64_t given = 0;                       // batches of this epoch that the consumer has had
  std::unique_ptr<Prefetcher> prefetcher;  // last: destroyed first
};

Batches::Batches(const ImageSet& set, const BatchOptions& options) : state_(std::make_unique<State>(set, options)) {
  state_->start(0);
}
Batches::~Batches() = default;
Batches::Batches(Batches&&) noexcept = default;
Batches& Batches::operator=(Batches&&) noexcept = default;

int64_t Batches::batches_per_epoch() const { return state_->sampler.per_epoch(); }

bool Batches::next(Batch& out) {
  if (state_->given == state_->sampler.per_epoch()) {
    state_->given = 0;
    ++state_->epoch;
    return false;
  }
  if (state_->prefetcher) {
    state_->prefetcher->next(out);
  } else {
    state_->sampler.fill(out);
  }
  ++state_->given;
  return true;
}

void Batches::seek(int64_t epoch) {
  if (epoch < 0) throw std::invalid_argument("[data] Batches: epochs count from 0");
  state_->start(epoch);
}

}  // namespace backplane::data
