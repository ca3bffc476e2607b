// SPDX-License-Identifier: Apache-2.0
// A group's threads: each lives as long as the group, so what is cached for a thread stays, and waits for work.
#include "backplane/parallel/group.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "backplane/functions.h"
#include "backplane/graph/plan.h"
#include "backplane/random.h"
#include "calls.h"
#include "exchange.h"
#include "tensor_impl.h"
#include "thread_defaults.h"
#include "watch.h"

namespace backplane::parallel {
namespace {

constexpr std::string_view kReductions[] = {"plugin", "host"};  // by Reduction

void check_devices(const std::vector<Device>& devices) {
  if (devices.empty()) fail("parallel", "a group without devices");
  for (size_t i = 0; i < devices.size(); ++i) {
    if (std::find(devices.begin(), devices.begin() + static_cast<std::ptrdiff_t>(i), devices[i]) ==
        devices.begin() + static_cast<std::ptrdiff_t>(i)) {
      continue;
    }
    fail("parallel", devices[i].name() + " is named twice", {}, {}, "give every rank a device of its own");
  }
}

/// Key of rank `index`: other numbers than any other rank's and than those drawn outside the group.
std::array<int32_t, 4> key_of(const std::vector<int32_t>& drawn, uint32_t index) {
  return {drawn[0], static_cast<int32_t>(static_cast<uint32_t>(drawn[1]) + index + 1), drawn[2], drawn[3]};
}

}  // namespace

std::string_view to_string(Reduction reduction) { return kReductions[static_cast<size_t>(reduction)]; }

Reduction reduction_from(std::string_view text) {
  for (const Reduction each : {Reduction::plugin, Reduction::host}) {
    if (text == to_string(each)) return each;
  }
  fail("parallel", "there is no reduction '" + std::string(text) + "'", {}, {}, "say plugin or host");
}

Rank::Rank(uint32_t index, const Device& device, Exchange& exchange, Calls& calls)
    : index_(index), device_(device), exchange_(exchange), calls_(calls) {}

uint32_t Rank::size() const { return calls_.ranks(); }

void Rank::check(const Tensor& x, std::string_view call, Here here) const {
  const TensorImpl& impl = computed(x, std::string(call).c_str(), here.loc);
  if (impl.storage->stream() == device_.stream()) return;
  fail(call, "the tensor is on " + x.device().name() + ", rank " + std::to_string(index_) + " on " + device_.name(),
       std::span(&impl.type, 1), here.loc, "bring it there with to(device) before the group runs");
}

Tensor Rank::all_reduce(const Tensor& x, Combine combine, Here here) const {
  check(x, "all_reduce", here);
  if (x.dtype() == boolean) {
    fail("all_reduce", "a bool has no sum", std::span(&x.type(), 1), here.loc, "cast it to i32 first");
  }
  if (combine == Combine::mean && !is_float(x.dtype())) {
    fail("all_reduce", "the mean of integers is none", std::span(&x.type(), 1), here.loc, "cast them to f32 first");
  }
  const NoGrad no_grad;
  calls_.make(index_, {"all_reduce", x.dtype(), x.elements()});
  if (x.elements() == 0) return x;
  const Tensor total = exchange_.sum(index_, to_dense(x));
  return combine == Combine::sum ? total : total / static_cast<double>(size());
}

Tensor Rank::broadcast(const Tensor& x, uint32_t root, Here here) const {
  check(x, "broadcast", here);
  if (root >= size()) {
    fail("broadcast", "there is no rank " + std::to_string(root) + " of " + std::to_string(size()), {}, here.loc);
  }
  calls_.make(index_, {"broadcast", x.dtype(), x.elements(), root});
  return x.elements() == 0 ? x : exchange_.broadcast(index_, to_dense(x), root);
}

struct Group::State {
  explicit State(std::vector<Device> wanted, Reduction how)
      : devices(std::move(wanted)), reduction(how), calls(static_cast<uint32_t>(devices.size())) {
    check_devices(devices);
    exchange = how == Reduction::host ? make_host_exchange(devices) : make_plugin_exchange(devices);
  }

  /// Does a rank's `part`; the first failure of the group is kept, and ends the others.
  template <class F>
  void attempt(uint32_t rank, F part) {
    try {
      part();
    } catch (const std::exception& error) {
      fail_with(rank, error.what());
    } catch (...) {
      fail_with(rank, "something that is no std::exception was thrown");
    }
    const std::lock_guard lock(mutex);
    if (--busy == 0) changed.notify_all();
  }
  void fail_with(uint32_t rank, const char* what) {
    {
      const std::lock_guard lock(mutex);
      if (failure) return;
      failure.emplace(rank,
                      "[parallel] rank " + std::to_string(rank) + " (" + devices[rank].name() + ") failed: " + what);
    }
    exchange->abort();
  }

  void serve(uint32_t index, const std::array<int32_t, 4>& key) {
    std::optional<ThreadDefaults> defaults;
    attempt(index, [&] {
      exchange->join(index);
      defaults.emplace(devices[index], key);
    });
    Rank rank(index, devices[index], *exchange, calls);
    for (uint64_t done = 0;;) {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return ending || round != done; });
      if (ending) break;
      done = round;
      const std::function<void(Rank&)>& now = *work;
      lock.unlock();
      attempt(index, [&] {
        now(rank);
        calls.end(index);
        if (watch) watch->add(index, devices[index]);
      });
    }
    try {
      devices[index].synchronize();  // nothing of the group may be left in the queue
    } catch (const std::exception&) {
      // A device that is lost has nothing left; whoever uses it next is told.
    }
    exchange->leave(index);
  }

  void start() {
    const std::vector<int32_t> drawn = next_random_key().to_vector<int32_t>();
    busy = static_cast<uint32_t>(devices.size());
    if (reduction == Reduction::plugin) watch.emplace(busy, [this](uint32_t r, const char* what) { fail_with(r, what); });
    for (uint32_t r = 0; r < devices.size(); ++r) {
      threads.emplace_back([this, r, key = key_of(drawn, r)] { serve(r, key); });
    }
    wait();
  }
  /// Until no rank works any more.
  void wait() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return busy == 0; });
    if (failure) throw RankError(failure->first, failure->second);
  }
  void end() {
    {
      const std::lock_guard lock(mutex);
      ending = true;
      changed.notify_all();
    }
    for (std::thread& thread : threads) thread.join();
    watch.reset();
  }

  std::vector<Device> devices;
  Reduction reduction;
  Calls calls;
  std::unique_ptr<Exchange> exchange;
  std::optional<Watch> watch;  ///< where ranks do not wait for their devices in every exchange
  std::vector<std::thread> threads;
  std::mutex mutex;  ///< of what follows
  std::condition_variable changed;
  const std::function<void(Rank&)>* work = nullptr;
  uint64_t round = 0;  ///< how often there was work
  uint32_t busy = 0;   ///< ranks at work
  bool ending = false;
  std::optional<std::pair<uint32_t, std::string>> failure;
};

Group::Group(std::vector<Device> devices, Reduction reduction)
    : state_(std::make_unique<State>(std::move(devices), reduction)) {
  try {
    state_->start();
  } catch (...) {
    state_->exchange->abort();  // also when a thread could not be made: those there are wait for it
    state_->end();
    throw;
  }
}

Group::~Group() { state_->end(); }

void Group::run(const std::function<void(Rank&)>& work) {
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->failure) {
      state_->calls.start();
      state_->work = &work;
      state_->busy = size();
      ++state_->round;
      state_->changed.notify_all();
    }
  }
  state_->wait();
}

uint32_t Group::size() const { return static_cast<uint32_t>(state_->devices.size()); }
const Device& Group::device(uint32_t rank) const { return state_->devices[rank]; }
Reduction Group::reduction() const { return state_->reduction; }

std::string Group::describe() const {
  std::string names;
  for (const Device& each : state_->devices) names += (names.empty() ? "" : ", ") + each.name();
  return names + "; " + state_->exchange->name();
}

}  // namespace backplane::parallel
