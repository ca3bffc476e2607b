// SPDX-License-Identifier: Apache-2.0
#include "kernels.h"

#include <filesystem>
#include <random>

#include "backplane/autotune/race.h"
#include "backplane/host/error.h"
#include "backplane/sdk/walk.h"

namespace backplane::bench {

std::vector<float> random_floats(int64_t count, uint64_t seed) {
  std::mt19937 engine(static_cast<uint32_t>(seed));
  std::vector<float> values(static_cast<size_t>(count));
  for (float& v : values) v = static_cast<float>(engine()) * 0x1p-31f - 1.0f;
  return values;
}

host::DevicePtr null_device() {
  // Made for tests, so no ordinary search finds it.
  static host::Registry* const registry = [] {
    host::RegistryOptions options = host::RegistryOptions::from_environment();
    const auto build = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path();
    for (const char* folder :
         {"test-plugins/null", "libexec/backplane"}) {  // of a build tree, and of a package with checks
      options.directories.insert(options.directories.begin(), build / folder);
    }
    return new host::Registry(std::move(options));
  }();
  return registry->open("null:0");
}

Operands::Operands(const host::DevicePtr& device, host::KernelOp op, const Values& inputs)
    : stream_(graph::Stream::of(device)), op_(std::move(op)) {
  const host::Support support = stream_->support(op_);
  if (support.verdict != BP_SUPPORT_YES)
    throw Error("[" + std::string(op_.name) + "] " + device->name() + ": " + support.reason);
  for (const std::vector<std::byte>& bytes : inputs) {
    in_.push_back(stream_->alloc(bytes.size()));
    stream_->upload(in_.back(), 0, bytes.data(), bytes.size());
    in_views_.push_back({in_.back()->buffer(), 0});
  }
  for (const bp_tensor_desc& desc : op_.outputs) {
    const auto bytes = static_cast<uint64_t>(bp_sdk_numel(&desc)) * bp_sdk_dtype_size(desc.dtype);
    out_.push_back(stream_->alloc(bytes));
    out_bytes_.push_back(bytes);
    out_views_.push_back({out_.back()->buffer(), 0});
  }
}

std::vector<host::Variant> Operands::variants() const {
  return op_.with_op([&](const bp_op& op) { return stream_->device()->variants(op); });
}

Values Operands::outputs() const {
  Values values;
  for (size_t j = 0; j < out_.size(); ++j) {
    values.emplace_back(out_bytes_[j]);
    stream_->download(values.back().data(), out_[j], 0, out_bytes_[j]);
  }
  return values;
}

namespace {

class StampedClock : public DeviceClock {
 public:
  explicit StampedClock(graph::StreamPtr stream) : stream_(std::move(stream)), api_(*stream_->device()->timing()) {
    bp_error error = host::make_error();
    host::check(api_.info(device(), &info_, &error), error, "timing info");
    bp_timer* timer = nullptr;
    host::check(api_.create(device(), 2, &timer, &error), error, "create timer");
    timer_ = host::Timer(timer, api_.destroy, stream_->device());
  }
  void start() override { stamp(0); }
  void stop() override { stamp(1); }
  double ns() override {
    uint64_t ticks[2] = {};
    bp_error error = host::make_error();
    host::check(api_.read(timer_.get(), 0, 2, ticks, &error), error, "read time stamps");
    const uint64_t mask = info_.valid_bits >= 64 ? ~uint64_t{0} : (uint64_t{1} << info_.valid_bits) - 1;
    return static_cast<double>((ticks[1] - ticks[0]) & mask) * info_.ns_per_tick;
  }

 private:
  bp_device* device() const { return stream_->device()->handle(); }
  void stamp(uint32_t index) {
    bp_error error = host::make_error();
    host::check(api_.stamp(stream_->queue(), timer_.get(), index, &error), error, "time stamp");
  }
  graph::StreamPtr stream_;
  const bp_timing_api& api_;
  bp_timing_info info_{};
  host::Timer timer_;
};

}  // namespace

std::unique_ptr<DeviceClock> device_clock(const graph::StreamPtr& stream) {
  return stream->device()->timing() == nullptr ? nullptr : std::make_unique<StampedClock>(stream);
}

Values suitable_values(const host::KernelOp& op) {
  return op.with_op([](const bp_op& raw) {
    return autotune::suitable_inputs(host::Registry::instance().reference(), raw, 1);
  });
}

Prepared::Prepared(std::shared_ptr<const Operands> operands, const std::string& variant)
    : operands_(std::move(operands)), kernel_(operands_->stream_->kernel(operands_->op_, variant)) {
  if (kernel_->workspace > 0) {
    workspace_storage_ = operands_->stream_->alloc(kernel_->workspace);
    workspace_ = {workspace_storage_->buffer(), 0};
  }
  launch();  // drivers build at the first launch
}

void Prepared::enqueue() const {
  bp_error error = host::make_error();
  const graph::StreamPtr& stream = operands_->stream_;
  const bp_status status =
      stream->device()->kernels().enqueue(stream->queue(), kernel_->handle.get(), operands_->in_views_.data(),
                                          operands_->out_views_.data(), workspace_, &error);
  host::check(status, error, stream->device()->name() + ": enqueue");
}

void Prepared::launch() const {
  enqueue();
  // A synchronous device is done here; finish() on it is a call that does nothing, and is paid like anyone else's wait.
  finish();
}

Contestant Prepared::contestant(DeviceClock* clock) const {
  return {[this] { enqueue(); }, [this] { finish(); }, clock};
}

}  // namespace backplane::bench
