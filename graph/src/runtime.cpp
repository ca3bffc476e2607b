// SPDX-License-Identifier: Apache-2.0
#include "backplane/graph/runtime.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <list>
#include <unordered_map>

#include "backplane/host/log.h"
#include "plan/recordings.h"

namespace backplane::graph {

namespace {

constexpr uint64_t kSmallestBlock = 256;
constexpr uint64_t kPoolFloor = 512ull << 20;  ///< pooled bytes that are always kept
constexpr size_t kMaxCachedKernels = 8192;

/// Four size classes per power of two: at most a quarter of a block is wasted.
uint64_t size_class(uint64_t bytes) {
  if (bytes <= kSmallestBlock) return kSmallestBlock;
  const uint64_t step = std::bit_floor(bytes - 1) / 4;
  return (bytes + step - 1) / step * step;
}

/// Map with a bound; the oldest entry makes room.
template <class T>
class BoundedCache {
 public:
  T* find(const std::string& key) {
    const auto found = map_.find(key);
    return found != map_.end() ? &found->second : nullptr;
  }
  T& insert(std::string key, T value) {
    if (map_.size() >= kMaxCachedKernels) {
      map_.erase(order_.front());
      order_.pop_front();
    }
    order_.push_back(key);
    return map_.insert_or_assign(std::move(key), std::move(value)).first->second;
  }

 private:
  std::unordered_map<std::string, T> map_;
  std::list<std::string> order_;
};

}  // namespace

struct Stream::Pool {
  std::mutex mutex;
  /// By size class, each a heap with the lowest address first: a program that repeats itself gets the same buffers in the
  /// same roles again, which is what lets plans be replayed. Last in, first out would permute them from step to step.
  std::unordered_map<uint64_t, std::vector<bp_buffer*>> free;
  Usage usage;
};

struct Stream::Caches {
  std::mutex mutex;
  BoundedCache<std::shared_ptr<const host::Kernel>> kernels;
  BoundedCache<host::Support> supports;
  Builds builds;
};

Storage::Storage(StreamPtr stream, bp_buffer* buffer, uint64_t bytes)
    : stream_(std::move(stream)), buffer_(buffer), bytes_(bytes) {}

Storage::Storage(StreamPtr stream, host::Buffer borrowed, uint64_t bytes)
    : stream_(std::move(stream)), buffer_(borrowed.get()), bytes_(bytes), borrowed_(std::move(borrowed)) {}

Storage::~Storage() {
  if (borrowed_) stream_->retire(buffer_);
  else stream_->release(buffer_, bytes_);
}

StreamPtr Stream::of(const host::DevicePtr& device) {
  static std::mutex mutex;
  // Never destroyed: tensors in static variables may outlive any order of destruction.
  static auto* const streams = new std::unordered_map<host::Device*, StreamPtr>();
  const std::lock_guard lock(mutex);
  StreamPtr& stream = (*streams)[device.get()];
  if (stream == nullptr) stream = std::make_shared<Stream>(device);
  return stream;
}

Stream::Stream(host::DevicePtr device, autotune::Policy policy, std::shared_ptr<autotune::Tuning> tuning)
    : device_(std::move(device)), policy_(policy), tuner_(device_, std::move(tuning)), queue_(device_->create_queue()), pool_(std::make_unique<Pool>()),
      caches_(std::make_unique<Caches>()),
      recordings_(device_->capture() != nullptr ? std::make_unique<Recordings>(*device_, queue_.get()) : nullptr) {
  // The oracle has one way to compute, and is what is left when a device finds none within the limit.
  if (device_->has(BP_DEVICE_REFERENCE)) policy_.max_workspace = UINT64_MAX;
}

Stream::~Stream() {
  try {
    trim();
  } catch (const std::exception&) {
    // The device is gone; its memory went with it.
  }
}

StoragePtr Stream::alloc(uint64_t bytes) {
  const uint64_t block = size_class(bytes);
  {
    const std::lock_guard lock(pool_->mutex);
    std::vector<bp_buffer*>& list = pool_->free[block];
    pool_->usage.in_use += block;
    pool_->usage.peak = std::max(pool_->usage.peak, pool_->usage.in_use);
    if (!list.empty()) {
      std::pop_heap(list.begin(), list.end(), std::greater<>());
      bp_buffer* buffer = list.back();
      list.pop_back();
      pool_->usage.pooled -= block;
      return std::make_shared<Storage>(shared_from_this(), buffer, block);
    }
  }
  bp_buffer* buffer = nullptr;
  bp_error error = host::make_error();
  bp_status status = device_->memory().alloc(device_->handle(), block, BP_MEMORY_DEVICE, &buffer, &error);
  if (status == BP_E_OUT_OF_MEMORY) {
    trim();
    error = host::make_error();
    status = device_->memory().alloc(device_->handle(), block, BP_MEMORY_DEVICE, &buffer, &error);
  }
  if (status < 0) {
    const std::lock_guard lock(pool_->mutex);
    pool_->usage.in_use -= block;
    host::check(status, error,
                device_->name() + ": allocating " + std::to_string(block) + " bytes beside " +
                    std::to_string(pool_->usage.in_use) + " in use");
  }
  return std::make_shared<Storage>(shared_from_this(), buffer, block);
}

void Stream::release(bp_buffer* buffer, uint64_t bytes) {
  {
    const std::lock_guard lock(pool_->mutex);
    Usage& usage = pool_->usage;
    usage.in_use -= bytes;
    if (usage.pooled + bytes <= std::max(kPoolFloor, usage.peak)) {
      std::vector<bp_buffer*>& list = pool_->free[bytes];
      list.push_back(buffer);
      std::push_heap(list.begin(), list.end(), std::greater<>());
      usage.pooled += bytes;
      return;
    }
  }
  settle();
  device_->memory().free(buffer);
}

void Stream::retire(bp_buffer* buffer) {
  const std::lock_guard lock(mutex_);
  if (recordings_ != nullptr) recordings_->forget(buffer);
  // An event waits without taking the report of a failure away from the next call that waits.
  const bp_queue_api& api = device_->queues();
  bp_event* done = nullptr;
  if (api.event_create(device_->handle(), &done, nullptr) < 0) {
    api.finish(queue_.get(), nullptr);
    return;
  }
  if (api.event_record(queue_.get(), done, nullptr) >= 0) api.event_sync(done, UINT64_MAX, nullptr);
  api.event_destroy(done);
}

void Stream::settle() {
  const std::lock_guard lock(mutex_);
  if (recordings_ != nullptr) recordings_->clear();
  bp_error error = host::make_error();
  device_->queues().finish(queue_.get(), &error);  // a failure in it is reported by the next call that waits
}

void Stream::trim() {
  settle();
  const std::lock_guard lock(pool_->mutex);
  for (auto& [block, list] : pool_->free) {
    for (bp_buffer* buffer : list) device_->memory().free(buffer);
    list.clear();
  }
  pool_->usage.pooled = 0;
}

void Stream::upload(const StoragePtr& target, uint64_t offset, const void* source, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  device_->upload(queue_, {target->buffer(), offset}, source, bytes);
}

bool Stream::copy_from(const StoragePtr& target, const StoragePtr& source, uint64_t offset, uint64_t bytes) {
  Stream& other = *source->stream();
  const bp_peer_api* peer = device_->peer(*other.device_);
  if (peer == nullptr) return false;
  const std::scoped_lock lock(mutex_, other.mutex_);
  const bp_queue_api& api = device_->queues();
  const host::Event written = other.device_->create_event(), copied = device_->create_event();
  const auto say = [](const Stream& stream) { return stream.device_->name() + ": copy between devices"; };
  bp_error error = host::make_error();
  host::check(api.event_record(other.queue_.get(), written.get(), &error), error, say(other));
  host::check(api.event_wait(queue_.get(), written.get(), &error), error, say(*this));
  const bp_status status = peer->copy(queue_.get(), {target->buffer(), 0}, other.device_->handle(),
                                      {source->buffer(), offset}, bytes, &error);
  if (status == BP_E_UNSUPPORTED) return false;
  host::check(status, error, say(*this));
  // The source's memory may be used for something else as soon as it is released, but not before it was read.
  host::check(api.event_record(queue_.get(), copied.get(), &error), error, say(*this));
  host::check(api.event_wait(other.queue_.get(), copied.get(), &error), error, say(other));
  return true;
}

void Stream::download(void* target, const StoragePtr& source, uint64_t offset, uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  device_->download(queue_, target, {source->buffer(), offset}, bytes);
  device_->finish(queue_);
}

void Stream::finish() {
  const std::lock_guard lock(mutex_);
  device_->finish(queue_);
}

std::shared_ptr<const host::Kernel> Stream::kernel(const KernelOp& op, const std::string& variant) {
  return under_policy(op, [&](const KernelOp& ruled) { return prepared(ruled, variant); });
}

Stream::Choice Stream::choose(const KernelOp& op) {
  return under_policy(op, [&](const KernelOp& ruled) { return chosen(ruled); });
}

Stream::Choice Stream::chosen(const KernelOp& ruled) {
  const autotune::Decision* decision = ruled.with_op([&](const bp_op& raw) { return &tuner_.decide(raw); });
  if (!decision->variant.empty()) {
    try {
      return {prepared(ruled, decision->variant), decision};
    } catch (const host::Error& error) {
      host::log(BP_LOG_WARNING, "autotune", "[" + std::string(ruled.name) + "] " + decision->variant + " was chosen (" +
                                                decision->why + "), but cannot be built: " + error.what());
      ruled.with_op([&](const bp_op& raw) { tuner_.reject(raw, decision->variant + " cannot be built"); });
      decision = ruled.with_op([&](const bp_op& raw) { return &tuner_.decide(raw); });
    }
  }
  return {prepared(ruled, {}), decision};
}

std::shared_ptr<const host::Kernel> Stream::prepared(const KernelOp& op, const std::string& variant) {
  const std::string key = op.signature() + '\0' + variant;
  {
    const std::lock_guard lock(caches_->mutex);
    if (auto* found = caches_->kernels.find(key)) return *found;
  }
  // Built outside the lock: preparing may compile. Two threads may build the same kernel; the first one stays.
  auto kernel = std::make_shared<const host::Kernel>(op.with_op([&](const bp_op& raw) {
    return device_->prepare(raw, variant.empty() ? nullptr : variant.c_str());
  }));
  const std::lock_guard lock(caches_->mutex);
  caches_->builds.kernels += kernel->build_time_ns != 0;
  caches_->builds.time_ns += kernel->build_time_ns;
  if (auto* found = caches_->kernels.find(key)) return *found;
  return caches_->kernels.insert(key, std::move(kernel));
}

host::Support Stream::support(const KernelOp& op) {
  return under_policy(op, [&](const KernelOp& ruled) { return answer(ruled); });
}

host::Support Stream::answer(const KernelOp& op) {
  const std::string key = op.signature();
  {
    const std::lock_guard lock(caches_->mutex);
    if (auto* found = caches_->supports.find(key)) return *found;
  }
  host::Support support = op.with_op([&](const bp_op& raw) { return device_->query(raw); });
  const std::lock_guard lock(caches_->mutex);
  return caches_->supports.insert(key, std::move(support));
}

Stream::Builds Stream::builds() const {
  const std::lock_guard lock(caches_->mutex);
  return caches_->builds;
}

Stream::Usage Stream::usage() const {
  const std::lock_guard lock(pool_->mutex);
  return pool_->usage;
}

}  // namespace backplane::graph
