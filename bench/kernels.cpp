// SPDX-License-Identifier: Apache-2.0
#include "kernels.h"

#include <cstdlib>
#include <random>

#include "backplane/host/error.h"

namespace backplane::bench {

std::vector<float> random_floats(int64_t count, uint64_t seed) {
  std::mt19937 engine(static_cast<uint32_t>(seed));
  std::vector<float> values(static_cast<size_t>(count));
  for (float& v : values) v = static_cast<float>(engine()) * 0x1p-31f - 1.0f;
  return values;
}

host::DevicePtr device_under_test() {
  const char* name = std::getenv("BACKPLANE_BENCH_DEVICE");
  return host::Registry::instance().open(name != nullptr ? name : "cpu");
}

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

Prepared::Prepared(const host::DevicePtr& device, const graph::OpDef& op, std::vector<graph::AttrArg> attrs,
                   const std::vector<Shape>& inputs)
    : stream_(graph::Stream::of(device)) {
  const graph::Attrs complete(op.name, op.attrs, attrs);
  std::vector<Type> types;
  for (const Shape& shape : inputs) types.push_back({DType::f32, shape});
  const std::vector<Type> results = graph::infer_types(op, complete, types, {});
  graph::KernelOp kernel;
  kernel.code = op.native.code;
  kernel.name = op.name.data();
  if (op.native.encode != nullptr) op.native.encode(complete, types, results, kernel);
  for (const Type& type : types) kernel.inputs.push_back(to_desc(type, dense_layout(type.shape)));
  for (const Type& type : results) kernel.outputs.push_back(to_desc(type, dense_layout(type.shape)));
  const host::Support support = stream_->support(kernel);
  if (support.verdict != BP_SUPPORT_YES)
    throw Error("[" + std::string(op.name) + "] " + device->name() + ": " + support.reason);
  kernel_ = stream_->kernel(kernel);
  uint64_t seed = 1;
  for (const Type& type : types) {
    host_inputs_.push_back(random_floats(type.elements(), seed++));
    storage_.push_back(stream_->alloc(static_cast<uint64_t>(type.bytes())));
    stream_->upload(storage_.back(), 0, host_inputs_.back().data(), static_cast<uint64_t>(type.bytes()));
    in_.push_back({storage_.back()->buffer(), 0});
  }
  for (const Type& type : results) {
    storage_.push_back(stream_->alloc(static_cast<uint64_t>(type.bytes())));
    out_.push_back({storage_.back()->buffer(), 0});
  }
  if (kernel_->workspace != 0) {
    storage_.push_back(stream_->alloc(kernel_->workspace));
    workspace_ = {storage_.back()->buffer(), 0};
  }
  output_shape_ = results[0].shape;
}

void Prepared::launch() const {
  bp_error error = host::make_error();
  const bp_status status = stream_->device()->kernels().enqueue(stream_->queue(), kernel_->handle.get(), in_.data(),
                                                               out_.data(), workspace_, &error);
  if (status < 0) throw Error(error.message);
  // A synchronous device is done here; finish() on it is a call that does nothing, and is paid like anyone else's wait.
  stream_->finish();
}

std::vector<float> Prepared::output() const {
  std::vector<float> values(static_cast<size_t>(output_shape_.elements()));
  stream_->download(values.data(), storage_[host_inputs_.size()], 0, values.size() * sizeof(float));
  return values;
}

}  // namespace backplane::bench
