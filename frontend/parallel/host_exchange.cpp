// SPDX-License-Identifier: Apache-2.0
// Sums through the host's memory: every rank downloads its part, adds up its share of all parts' elements, and uploads
// the whole. Parts are added in the order of ranks, so the bits do not depend on who came first.
#include <bit>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <type_traits>
#include <vector>

#include "exchange.h"

namespace backplane::parallel {
namespace {

using Bytes = std::vector<std::byte>;

/// All ranks come, then `done` is called once, then all go on. Aborted, it throws in each that waits or comes.
class Meeting {
 public:
  explicit Meeting(uint32_t ranks) : ranks_(ranks) {}
  template <class F>
  void wait(F done) {
    std::unique_lock lock(mutex_);
    check();
    if (++here_ == ranks_) {
      done();
      here_ = 0;
      ++round_;
      changed_.notify_all();
      return;
    }
    changed_.wait(lock, [&, own = round_] { return aborted_ || round_ != own; });
    check();
  }
  void wait() {
    wait([] {});
  }
  void abort() {
    const std::lock_guard lock(mutex_);
    aborted_ = true;
    changed_.notify_all();
  }

 private:
  void check() const {
    if (aborted_) throw Error("[parallel] another rank has failed");
  }
  const uint32_t ranks_;
  std::mutex mutex_;
  std::condition_variable changed_;
  uint32_t here_ = 0;
  uint64_t round_ = 0;
  bool aborted_ = false;
};

/// Elements [first, last) of the result. `Wide` holds sums of T: f64 for f32, unsigned for integers, which wrap around.
template <class T, class Wide>
void add_up(const std::vector<Bytes>& parts, Bytes& result, size_t first, size_t last) {
  for (size_t i = first; i < last; ++i) {
    Wide total{};
    for (const Bytes& part : parts) {
      T value;
      std::memcpy(&value, part.data() + i * sizeof(T), sizeof(T));
      total += static_cast<Wide>(value);
    }
    const T rounded = static_cast<T>(total);
    std::memcpy(result.data() + i * sizeof(T), &rounded, sizeof(T));
  }
}

using AddUp = void (*)(const std::vector<Bytes>&, Bytes&, size_t, size_t);
AddUp add_up_of(DType dtype) {
  switch (dtype) {
    case DType::f32: return add_up<float, double>;
    case DType::f64: return add_up<double, double>;
    case DType::i32: return add_up<int32_t, uint32_t>;
    case DType::i64: return add_up<int64_t, uint64_t>;
    default: return nullptr;  // halves come as f32; bool was refused
  }
}

class HostExchange final : public Exchange {
 public:
  explicit HostExchange(std::span<const Device> devices)
      : devices_(devices.begin(), devices.end()),
        meeting_(static_cast<uint32_t>(devices.size())),
        parts_(devices.size()) {}

  void join(uint32_t) override {}
  void leave(uint32_t) noexcept override {}
  void abort() noexcept override { meeting_.abort(); }
  std::string name() const override { return "sums in the host's memory"; }

  Tensor sum(uint32_t rank, const Tensor& x) override {
    if (is_half(x.dtype())) return sum(rank, x.to(f32)).to(x.dtype());
    parts_[rank] = x.to_bytes();
    // The last to come has all others waiting, so nobody reads the previous result any more.
    meeting_.wait([&] { result_.resize(parts_[rank].size()); });
    const auto count = static_cast<size_t>(x.elements());
    add_up_of(x.dtype())(parts_, result_, count * rank / devices_.size(), count * (rank + 1) / devices_.size());
    meeting_.wait();
    return Tensor::from_bytes(result_, x.type(), devices_[rank]);
  }

  Tensor broadcast(uint32_t rank, const Tensor& x, uint32_t root) override {
    if (rank == root) parts_[rank] = x.to_bytes();
    meeting_.wait();
    const Tensor result = rank == root ? x : Tensor::from_bytes(parts_[root], x.type(), devices_[rank]);
    meeting_.wait();  // until all have read it
    return result;
  }

 private:
  std::vector<Device> devices_;
  Meeting meeting_;
  std::vector<Bytes> parts_;  ///< by rank
  Bytes result_;
};

}  // namespace

std::unique_ptr<Exchange> make_host_exchange(std::span<const Device> devices) {
  return std::make_unique<HostExchange>(devices);
}

}  // namespace backplane::parallel
