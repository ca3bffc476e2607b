// SPDX-License-Identifier: Apache-2.0
#include "backplane/host/device.h"

#include <algorithm>
#include <cstring>

#include "backplane/host/text.h"
#include "loader.h"

namespace backplane::host {
namespace {

constexpr std::uint32_t kMaxVariants = 4096;

std::string call(const Device& device, const char* what, const bp_op* op = nullptr) {
  std::string where = device.name() + ": " + what;
  if (op != nullptr && op->name != nullptr) where += std::string(" ") + op->name;
  return where;
}

template <std::size_t N>
std::string bounded(const char (&text)[N]) {
  return clean_text(std::string_view(text, strnlen(text, N)));
}

/// Success without an object is a bug of the plugin that would surface far away.
template <class T>
T* made(T* handle, const std::string& where) {
  if (handle == nullptr) throw Error(BP_E_INTERNAL, "[" + where + "] the plugin reported success, but gave no object");
  return handle;
}

[[noreturn]] void refuse_dlpack(const Device& device) {
  throw Error(BP_E_UNSUPPORTED, "[" + device.name() + "] this device has no memory that other libraries could address; " +
                                    "copy to a device that has, such as 'cpu'");
}

}  // namespace

Device::Device(std::shared_ptr<Plugin> plugin, const bp_device_info& info, std::string name)
    : plugin_(std::move(plugin)), info_(info), name_(std::move(name)) {
  bp_error error = make_error();
  check(plugin_->api.open(plugin_->instance, info_.index, &handle_, &error), error, name_ + ": open");
  made(handle_, name_ + ": open");
  const InterfaceTables& tables = plugin_->tables;
  memory_ = tables.memory;
  queue_ = tables.queue;
  kernels_ = tables.kernels;
  capture_ = tables.capture;
  timing_ = tables.timing;
  interop_ = tables.interop;
  telemetry_ = tables.telemetry;
  peer_ = tables.peer;
}

Device::~Device() {
  if (!detail::process_ending.load(std::memory_order_relaxed)) plugin_->api.close(handle_);
}

const std::string& Device::plugin_name() const { return plugin_->name; }
const std::string& Device::plugin_build_id() const { return plugin_->build_id; }
const std::filesystem::path& Device::plugin_path() const { return plugin_->path; }
const bp_collective_api* Device::collective() const {
  const bp_collective_api& table = plugin_->tables.collective;
  return table.size != 0 ? &table : nullptr;
}

Buffer Device::alloc(uint64_t bytes, uint32_t kind) {
  bp_error error = make_error();
  bp_buffer* buffer = nullptr;
  const std::string where = name_ + ": alloc " + std::to_string(bytes) + " bytes";
  // The contract asks for at least one byte; an empty tensor still has a buffer.
  check(memory_.alloc(handle_, std::max<uint64_t>(bytes, 1), kind, &buffer, &error), error, where);
  return {made(buffer, where), memory_.free, shared_from_this()};
}

Queue Device::create_queue() {
  bp_error error = make_error();
  bp_queue* queue = nullptr;
  check(queue_.create(handle_, &queue, &error), error, call(*this, "create queue"));
  return {made(queue, call(*this, "create queue")), queue_.destroy, shared_from_this()};
}

Event Device::create_event() {
  bp_error error = make_error();
  bp_event* event = nullptr;
  check(queue_.event_create(handle_, &event, &error), error, call(*this, "create event"));
  return {made(event, call(*this, "create event")), queue_.event_destroy, shared_from_this()};
}

Support Device::query(const bp_op& op) {
  bp_error error = make_error();
  bp_support support{};
  support.size = sizeof support;
  check(kernels_.query(handle_, &op, &support, &error), error, call(*this, "query", &op));
  if (support.verdict > BP_SUPPORT_IF_CHANGED) support.verdict = BP_SUPPORT_NO;  // a newer verdict than we can act on
  return {support.verdict, support.want_dense, support.want_dtype, bounded(support.reason)};
}

std::vector<Variant> Device::variants(const bp_op& op) {
  const std::string where = call(*this, "variants", &op);
  std::vector<bp_variant> raw(32);
  std::uint32_t count = 0;
  for (;;) {
    for (bp_variant& variant : raw) {
      variant = {};
      variant.size = sizeof(bp_variant);
    }
    bp_error error = make_error();
    check(kernels_.variants(handle_, &op, raw.data(), sizeof(bp_variant), static_cast<std::uint32_t>(raw.size()),
                            &count, &error),
          error, where);
    if (count > kMaxVariants) {
      throw Error(BP_E_INTERNAL, "[" + where + "] the plugin claims " + std::to_string(count) + " variants; at most " +
                                     std::to_string(kMaxVariants) + " are believed");
    }
    if (count <= raw.size()) break;
    raw.resize(count);
  }
  std::vector<Variant> out;
  out.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const bp_variant& v = raw[i];
    out.push_back({bounded(v.name), v.flags, v.numeric_notes, v.determinism, v.workspace, v.prior, v.code_hash});
  }
  return out;
}

Kernel Device::prepare(const bp_op& op, const char* variant) {
  const std::string where = call(*this, "prepare", &op) + (variant != nullptr ? std::string(" as ") + variant : "");
  bp_error error = make_error();
  bp_kernel* kernel = nullptr;
  bp_kernel_info info{};
  info.size = sizeof info;
  check(kernels_.prepare(handle_, &op, variant, &kernel, &info, &error), error, where);
  return {{made(kernel, where), kernels_.destroy, shared_from_this()},
          info.workspace,
          info.build_time_ns,
          bounded(info.variant)};
}

void Device::upload(const Queue& queue, bp_view target, const void* source, uint64_t bytes, bool stable) {
  bp_error error = make_error();
  check(queue_.upload(queue.get(), target, source, bytes, stable ? 1 : 0, &error), error, call(*this, "upload"));
}

void Device::download(const Queue& queue, void* target, bp_view source, uint64_t bytes) {
  bp_error error = make_error();
  check(queue_.download(queue.get(), target, source, bytes, &error), error, call(*this, "download"));
}

Received Device::dlpack_import(DLManagedTensorVersioned* tensor) {
  if (interop_.dlpack_import == nullptr) refuse_dlpack(*this);
  const std::string where = call(*this, "import");
  bp_error error = make_error();
  bp_buffer* buffer = nullptr;
  Received received;
  check(interop_.dlpack_import(handle_, tensor, &buffer, &received.offset, &received.desc, &error), error, where);
  received.buffer = {made(buffer, where), memory_.free, shared_from_this()};
  return received;
}

DLManagedTensorVersioned* Device::dlpack_export(bp_view view, const bp_tensor_desc& desc, std::shared_ptr<void> lent) {
  if (interop_.dlpack_export == nullptr) refuse_dlpack(*this);
  using Lent = std::pair<std::shared_ptr<void>, DevicePtr>;  // the loan may outlive everything else of the device
  auto held = std::make_unique<Lent>(std::move(lent), shared_from_this());
  const auto released = [](void* context) { delete static_cast<Lent*>(context); };
  bp_error error = make_error();
  DLManagedTensorVersioned* tensor = nullptr;
  check(interop_.dlpack_export(handle_, view, &desc, released, held.get(), &tensor, &error), error,
        call(*this, "export"));
  made(tensor, call(*this, "export"));
  held.release();  // NOLINT: `released` deletes it
  return tensor;
}

void Device::finish(const Queue& queue) {
  bp_error error = make_error();
  check(queue_.finish(queue.get(), &error), error, call(*this, "finish"));
}

}  // namespace backplane::host
