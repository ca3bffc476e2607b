// SPDX-License-Identifier: Apache-2.0
#include "kernels.h"

#include <filesystem>
#include <random>

#include "backplane/host/error.h"
#include "rows.h"

namespace backplane::bench {

std::vector<float> random_floats(int64_t count, uint64_t seed) {
  std::mt19937 engine(static_cast<uint32_t>(seed));
  std::vector<float> values(static_cast<size_t>(count));
  for (float& v : values) v = static_cast<float>(engine()) * 0x1p-31f - 1.0f;
  return values;
}

host::DevicePtr device_under_test() { return host::Registry::instance().open(settings().device); }

host::DevicePtr null_device() {
  // Made for tests, so no ordinary search finds it: it lies beside the other test plugins of this build.
  static host::Registry* const registry = [] {
    host::RegistryOptions options = host::RegistryOptions::from_environment();
    const auto build = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path();
    options.directories.insert(options.directories.begin(), build / "test-plugins" / "null");
    return new host::Registry(std::move(options));
  }();
  return registry->open("null:0");
}

Operands::Operands(const host::DevicePtr& device, const Case& c, const std::vector<std::vector<std::byte>>& values)
    : stream_(graph::Stream::of(device)), op_(c.kernel_op()), types_(c.outputs()) {
  const host::Support support = stream_->support(op_);
  if (support.verdict != BP_SUPPORT_YES)
    throw Error("[" + std::string(c.op->name) + "] " + device->name() + ": " + support.reason);
  for (const std::vector<std::byte>& bytes : values) {
    in_.push_back(stream_->alloc(bytes.size()));
    stream_->upload(in_.back(), 0, bytes.data(), bytes.size());
    in_views_.push_back({in_.back()->buffer(), 0});
  }
  for (const Type& type : types_) {
    out_.push_back(stream_->alloc(static_cast<uint64_t>(type.bytes())));
    out_views_.push_back({out_.back()->buffer(), 0});
  }
}

std::vector<host::Variant> Operands::variants() const {
  return op_.with_op([&](const bp_op& op) { return stream_->device()->variants(op); });
}

void Operands::poison() const {
  for (size_t j = 0; j < out_.size(); ++j) {
    const std::vector<std::byte> ones(static_cast<size_t>(types_[j].bytes()), std::byte{0xFF});
    stream_->upload(out_[j], 0, ones.data(), ones.size());
  }
}

std::vector<std::vector<std::byte>> Operands::outputs() const {
  std::vector<std::vector<std::byte>> values;
  for (size_t j = 0; j < out_.size(); ++j) {
    values.emplace_back(static_cast<size_t>(types_[j].bytes()));
    stream_->download(values.back().data(), out_[j], 0, values.back().size());
  }
  return values;
}

Prepared::Prepared(std::shared_ptr<const Operands> operands, const std::string& variant)
    : operands_(std::move(operands)), kernel_(operands_->stream_->kernel(operands_->op_, variant)) {
  if (kernel_->workspace == 0) return;
  workspace_storage_ = operands_->stream_->alloc(kernel_->workspace);
  workspace_ = {workspace_storage_->buffer(), 0};
}

void Prepared::enqueue() const {
  bp_error error = host::make_error();
  const graph::StreamPtr& stream = operands_->stream_;
  const bp_status status =
      stream->device()->kernels().enqueue(stream->queue(), kernel_->handle.get(), operands_->in_views_.data(),
                                          operands_->out_views_.data(), workspace_, &error);
  if (status < 0) throw Error(error.message);
}

void Prepared::launch() const {
  enqueue();
  // A synchronous device is done here; finish() on it is a call that does nothing, and is paid like anyone else's wait.
  finish();
}

Contestant Prepared::contestant() const {
  return {[this] { enqueue(); }, [this] { finish(); }};
}

}  // namespace backplane::bench
