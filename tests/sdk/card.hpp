// SPDX-License-Identifier: Apache-2.0
// A plugin loaded straight through the C ABI, and tensors to try its operations with. No host library in between.
#pragma once

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "backplane/plugin.h"
#include "backplane/sdk/convert.h"
#include "backplane/sdk/walk.h"

namespace backplane::testing {

using Shape = std::vector<int64_t>;

/// A tensor in a host array: descriptor, the place of element (0, ..., 0), storage with room around it.
struct Tensor {
  bp_tensor_desc desc{};
  std::vector<unsigned char> bytes;
  int64_t first = 0;  // elements before (0, ..., 0)

  Tensor() = default;
  Tensor(uint32_t dtype, const Shape& shape, const std::vector<double>& values = {}) {
    desc.dtype = dtype;
    desc.rank = static_cast<uint32_t>(shape.size());
    int64_t stride = 1;
    for (size_t i = shape.size(); i-- > 0;) {
      desc.shape[i] = shape[i];
      desc.strides[i] = stride;
      stride *= shape[i];
    }
    bytes.assign(static_cast<size_t>(stride) * bp_sdk_dtype_size(dtype), 0xA5);
    for (size_t i = 0; i < values.size(); ++i) set(static_cast<int64_t>(i), values[i]);
  }
  int64_t size() const { return bp_sdk_numel(&desc); }
  double at(int64_t flat) const { return bp_sdk_load(desc.dtype, bytes.data(), first + bp_sdk_offset(&desc, flat)); }
  void set(int64_t flat, double value) {
    bp_sdk_store(desc.dtype, bytes.data(), first + bp_sdk_offset(&desc, flat), value);
  }
  double at(const Shape& index) const {
    int64_t offset = first;
    for (size_t i = 0; i < index.size(); ++i) offset += index[i] * desc.strides[i];
    return bp_sdk_load(desc.dtype, bytes.data(), offset);
  }
  std::vector<double> values() const {
    std::vector<double> result(static_cast<size_t>(size()));
    for (int64_t i = 0; i < size(); ++i) result[static_cast<size_t>(i)] = at(i);
    return result;
  }
  /// The same values, stored with axes in reverse memory order, gaps, and negative strides on odd axes.
  Tensor scrambled() const {
    Tensor result;
    result.desc = desc;
    int64_t stride = 2, low = 0, high = 0;
    for (uint32_t i = 0; i < desc.rank; ++i) {
      result.desc.strides[i] = i % 2 == 1 ? -stride : stride;
      const int64_t reach = result.desc.strides[i] * (desc.shape[i] > 0 ? desc.shape[i] - 1 : 0);
      (reach < 0 ? low : high) += reach;
      stride *= desc.shape[i] > 0 ? desc.shape[i] + 1 : 1;
    }
    result.first = -low;
    result.bytes.assign(static_cast<size_t>(high - low + 1) * bp_sdk_dtype_size(desc.dtype), 0xA5);
    for (int64_t i = 0; i < size(); ++i) result.set(i, at(i));
    return result;
  }
  /// A view with stride 0 on new leading or extent-1 axes.
  Tensor broadcast(const Shape& shape) const {
    Tensor result = *this;
    const uint32_t lead = static_cast<uint32_t>(shape.size()) - desc.rank;
    result.desc.rank = static_cast<uint32_t>(shape.size());
    for (uint32_t i = 0; i < result.desc.rank; ++i) {
      const bool own = i >= lead && desc.shape[i - lead] == shape[i];
      result.desc.shape[i] = shape[i];
      result.desc.strides[i] = own ? desc.strides[i - lead] : 0;
    }
    return result;
  }
};

/// Pseudo-random values on a coarse grid in [low, high), the same everywhere.
inline std::vector<double> noise(int64_t count, uint32_t seed = 1, double low = -2, double high = 2) {
  std::vector<double> values(static_cast<size_t>(count));
  uint64_t state = seed * 0x9E3779B97F4A7C15u + 1;
  for (double& value : values) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    value = low + (high - low) * static_cast<double>((state >> 40) % 1024) / 1024;
  }
  return values;
}
inline Tensor random_tensor(uint32_t dtype, const Shape& shape, uint32_t seed = 1, double low = -2, double high = 2) {
  Tensor tensor(dtype, shape);
  const std::vector<double> values = noise(tensor.size(), seed, low, high);
  for (int64_t i = 0; i < tensor.size(); ++i) tensor.set(i, values[static_cast<size_t>(i)]);
  return tensor;
}

/// An operation with its operands.
struct Case {
  uint32_t code = 0;
  std::vector<Tensor> inputs;
  std::vector<Tensor> outputs;
  const void* attrs = nullptr;
  const bp_program* program = nullptr;
  int alias_output = -1, alias_input = -1;  // this output is the very view of that input

  bp_op op() {
    input_descs.clear();
    output_descs.clear();
    for (const Tensor& t : inputs) input_descs.push_back(t.desc);
    for (const Tensor& t : outputs) output_descs.push_back(t.desc);
    bp_op op{};
    op.size = sizeof(op);
    op.code = code;
    op.name = "test";
    op.inputs = input_descs.data();
    op.outputs = output_descs.data();
    op.num_inputs = static_cast<uint32_t>(input_descs.size());
    op.num_outputs = static_cast<uint32_t>(output_descs.size());
    op.attrs = attrs;
    op.program = program;
    op.max_workspace = UINT64_MAX;
    return op;
  }
  std::vector<bp_tensor_desc> input_descs, output_descs;
};

/// A scalar program under construction.
struct Program {
  std::vector<bp_instr> instrs;
  std::vector<uint16_t> outputs;
  uint32_t num_inputs;
  bp_program value{};

  explicit Program(uint32_t num_inputs) : num_inputs(num_inputs) {}
  uint16_t add(uint16_t code, uint32_t dtype, int a = 0, int b = 0, int c = 0) {
    bp_instr instr{};
    instr.code = code;
    instr.dtype = static_cast<uint16_t>(dtype);
    instr.a = static_cast<uint16_t>(a);
    instr.b = static_cast<uint16_t>(b);
    instr.c = static_cast<uint16_t>(c);
    instrs.push_back(instr);
    return static_cast<uint16_t>(num_inputs + instrs.size() - 1);
  }
  uint16_t constant(uint32_t dtype, double value) {
    const uint16_t id = add(BP_S_CONST, dtype);
    if (dtype <= BP_BF16) instrs.back().imm.f = value;
    else instrs.back().imm.i = static_cast<int64_t>(value);
    return id;
  }
  const bp_program* done(const std::vector<uint16_t>& results) {
    outputs = results;
    value = {sizeof(bp_program), num_inputs, static_cast<uint32_t>(instrs.size()),
             static_cast<uint32_t>(outputs.size()), instrs.data(), outputs.data()};
    return &value;
  }
};

class Card {
 public:
  explicit Card(const std::string& path) {
    library_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library_ == nullptr) throw std::runtime_error(dlerror());
    auto entry = reinterpret_cast<bp_plugin_entry>(dlsym(library_, BP_PLUGIN_ENTRY_NAME));
    if (entry == nullptr) throw std::runtime_error("no entry in " + path);
    host_.size = sizeof(host_);
    host_.abi_version = BP_ABI_VERSION;
    check(entry(&host_, &api, error()), "entry");
    check(api->create(&host_, &plugin, error()), "create");
    memory = static_cast<const bp_memory_api*>(api->get_interface(plugin, BP_INTERFACE_MEMORY, BP_VERSION(1, 0)));
    queues = static_cast<const bp_queue_api*>(api->get_interface(plugin, BP_INTERFACE_QUEUE, BP_VERSION(1, 0)));
    kernels = static_cast<const bp_kernels_api*>(api->get_interface(plugin, BP_INTERFACE_KERNELS, BP_VERSION(1, 0)));
    check(api->open(plugin, 0, &device, error()), "open");
    check(queues->create(device, &queue, error()), "queue");
  }
  ~Card() {
    if (queue != nullptr) queues->destroy(queue);
    if (device != nullptr) api->close(device);
    if (plugin != nullptr) api->destroy(plugin);
  }
  Card(const Card&) = delete;
  Card& operator=(const Card&) = delete;

  bp_error* error() {
    last = bp_error{};
    last.size = sizeof(last);
    return &last;
  }
  void check(bp_status status, const std::string& where) const {
    if (status != BP_OK) throw std::runtime_error(where + ": " + std::to_string(status) + " " + last.message);
  }
  bp_support query(Case& c) {
    const bp_op op = c.op();
    bp_support support{};
    support.size = sizeof(support);
    check(kernels->query(device, &op, &support, error()), "query");
    return support;
  }
  /// Prepares and runs; outputs are read back into the case. Guard bytes around every buffer are checked.
  void run(Case& c) {
    constexpr uint64_t kGuard = 64;
    const bp_op op = c.op();
    bp_kernel* kernel = nullptr;
    bp_kernel_info info{};
    info.size = sizeof(info);
    check(kernels->prepare(device, &op, nullptr, &kernel, &info, error()), "prepare");
    std::vector<bp_view> in, out;
    std::vector<bp_buffer*> buffers;
    const auto place = [&](const Tensor& t) {
      bp_buffer* buffer = nullptr;
      check(memory->alloc(device, t.bytes.size() + 2 * kGuard, BP_MEMORY_DEVICE, &buffer, error()), "alloc");
      buffers.push_back(buffer);
      const unsigned char guard = 0xC3;
      check(queues->fill(queue, {buffer, 0}, &guard, 1, t.bytes.size() + 2 * kGuard, error()), "fill");
      check(queues->upload(queue, {buffer, kGuard}, t.bytes.data(), t.bytes.size(), 0, error()), "upload");
      return bp_view{buffer, kGuard + static_cast<uint64_t>(t.first) * bp_sdk_dtype_size(t.desc.dtype)};
    };
    for (const Tensor& t : c.inputs) in.push_back(place(t));
    for (size_t j = 0; j < c.outputs.size(); ++j) {
      out.push_back(static_cast<int>(j) == c.alias_output ? in[static_cast<size_t>(c.alias_input)]
                                                          : place(c.outputs[j]));
    }
    bp_view workspace{nullptr, 0};
    if (info.workspace != 0) {
      check(memory->alloc(device, info.workspace, BP_MEMORY_DEVICE, &workspace.buffer, error()), "workspace");
      buffers.push_back(workspace.buffer);
    }
    check(kernels->enqueue(queue, kernel, in.data(), out.data(), workspace, error()), "enqueue");
    for (size_t j = 0; j < c.outputs.size(); ++j) {
      Tensor& t = c.outputs[j];
      std::vector<unsigned char> all(t.bytes.size() + 2 * kGuard);
      check(queues->download(queue, all.data(), {out[j].buffer, 0}, all.size(), error()), "download");
      check(queues->finish(queue, error()), "finish");
      for (uint64_t i = 0; i < kGuard; ++i) {
        EXPECT_EQ(all[i], 0xC3) << "written before output " << j;
        EXPECT_EQ(all[all.size() - 1 - i], 0xC3) << "written behind output " << j;
      }
      std::memcpy(t.bytes.data(), all.data() + kGuard, t.bytes.size());
    }
    kernels->destroy(kernel);
    for (bp_buffer* buffer : buffers) memory->free(buffer);
  }

  const bp_plugin_api* api = nullptr;
  const bp_memory_api* memory = nullptr;
  const bp_queue_api* queues = nullptr;
  const bp_kernels_api* kernels = nullptr;
  bp_plugin* plugin = nullptr;
  bp_device* device = nullptr;
  bp_queue* queue = nullptr;
  bp_error last{};

 private:
  void* library_ = nullptr;  // never unloaded, as the host does it
  bp_host host_{};
};

}  // namespace backplane::testing
