// SPDX-License-Identifier: Apache-2.0
// Sums by the devices' plugin (bp.collective), put into their queues.
#include <mutex>
#include <vector>

#include "backplane/graph/plan.h"
#include "backplane/host/error.h"
#include "exchange.h"
#include "tensor_impl.h"

namespace backplane::parallel {
namespace {

constexpr std::string_view kRemedy = "ask for Reduction::host (--reduction host) to add up in the host's memory";

const bp_collective_api& interface_of(std::span<const Device> devices) {
  const host::Device& first = *devices.front().stream()->device();
  for (const Device& each : devices) {
    const host::Device& other = *each.stream()->device();
    if (other.plugin_path() == first.plugin_path()) continue;
    fail("parallel",
         first.name() + " and " + other.name() + " are devices of different plugins, so none adds up for both", {}, {},
         kRemedy);
  }
  const bp_collective_api* table = first.collective();
  if (table == nullptr) {
    fail("parallel", "plugin '" + first.plugin_name() + "' makes no groups (it has no bp.collective)", {}, {}, kRemedy);
  }
  return *table;
}

class PluginExchange final : public Exchange {
 public:
  explicit PluginExchange(std::span<const Device> devices) : table_(interface_of(devices)), groups_(devices.size()) {
    for (const Device& each : devices) streams_.push_back(each.stream());
    bp_error error = host::make_error();
    try {
      host::check(table_.make_id(streams_[0]->device()->handle(), &id_, &error), error, streams_[0]->device()->name());
    } catch (const host::Error& failure) {
      fail("parallel", failure.what(), {}, {}, kRemedy);
    }
  }

  void join(uint32_t rank) override {
    bp_error error = host::make_error();
    bp_group* group = nullptr;
    const host::Device& device = *streams_[rank]->device();
    const auto ranks = static_cast<uint32_t>(groups_.size());
    host::check(table_.join(device.handle(), &id_, ranks, rank, &group, &error), error, device.name() + ": join");
    const std::lock_guard lock(mutex_);
    groups_[rank] = group;
    if (aborted_) table_.abort(group);
  }

  void leave(uint32_t rank) noexcept override {
    bp_group* group = nullptr;
    {
      const std::lock_guard lock(mutex_);
      std::swap(group, groups_[rank]);
    }
    table_.leave(group);
  }

  void abort() noexcept override {
    const std::lock_guard lock(mutex_);
    aborted_ = true;
    for (bp_group* group : groups_) {
      if (group != nullptr) table_.abort(group);
    }
  }

  std::string name() const override { return "sums by plugin " + streams_[0]->device()->plugin_name(); }

  Tensor sum(uint32_t rank, const Tensor& x) override {
    return call(rank, x, [&](bp_view target, bp_view source, uint64_t count, uint32_t dtype, bp_error* error) {
      return table_.all_reduce(streams_[rank]->queue(), groups_[rank], target, source, count, dtype, BP_REDUCE_SUM,
                               error);
    });
  }

  Tensor broadcast(uint32_t rank, const Tensor& x, uint32_t root) override {
    return call(rank, x, [&](bp_view target, bp_view source, uint64_t count, uint32_t dtype, bp_error* error) {
      return table_.broadcast(streams_[rank]->queue(), groups_[rank], target, source, count, dtype, root, error);
    });
  }

 private:
  template <class Submit>
  Tensor call(uint32_t rank, const Tensor& x, Submit submit) {
    const TensorImpl& impl = *x.impl();
    const graph::StreamPtr& stream = streams_[rank];
    const graph::StoragePtr result = stream->alloc(static_cast<uint64_t>(impl.type.bytes()));
    const auto offset = static_cast<uint64_t>(impl.layout.offset * size_of(impl.type.dtype));
    bp_error error = host::make_error();
    const std::lock_guard lock(stream->mutex());
    const bp_status status =
        submit({result->buffer(), 0}, {impl.storage->buffer(), offset}, static_cast<uint64_t>(impl.type.elements()),
               static_cast<uint32_t>(impl.type.dtype), &error);
    host::check(status, error, stream->device()->name() + ": collective");
    return make_tensor({result, impl.type, dense_layout(impl.type.shape)});
  }

  const bp_collective_api& table_;
  bp_group_id id_{};
  std::vector<graph::StreamPtr> streams_;
  std::mutex mutex_;               ///< of the two below; a rank reads its own group without it
  std::vector<bp_group*> groups_;  ///< by rank
  bool aborted_ = false;
};

}  // namespace

std::unique_ptr<Exchange> make_plugin_exchange(std::span<const Device> devices) {
  return std::make_unique<PluginExchange>(devices);
}

}  // namespace backplane::parallel
