// SPDX-License-Identifier: Apache-2.0
#include "device.h"

#include <algorithm>
#include <cstdlib>

#include "backplane/codegen/answers.h"
#include "cuda_build_id.h"
#include "epilogue.h"

namespace backplane::cuda {

Device::Device(const sdk::Host& host, const Compiler& compiler, const Nvml& nvml, DeviceEntry entry)
    : host_(host), entry_(std::move(entry)), compiler_(compiler), nvml_(nvml) {
  synchronous_ = host_.config("cuda.synchronous").value_or("0") == "1";
  cuda::check(cu().DevicePrimaryCtxRetain(&context_, entry_.handle), "cuDevicePrimaryCtxRetain");
  const Current current(context_);
  memory_ = make_pool(memory_cap(), entry_.info.max_allocation);
  staging_ = make_pool(UINT64_MAX, UINT64_MAX);
  programs_ = std::make_unique<Programs>(host_, compiler_, entry_.major, entry_.minor);
  lt_ = std::make_unique<BlasLt>(host_);
  plans_ = std::make_unique<dnn::Plans>(host_, dnn::open(host_));
  clock_ = std::make_unique<Clock>(*this);
}

Device::~Device() {
  clock_.reset();
  plans_.reset();
  lt_.reset();
  programs_.reset();
  memory_.reset();
  staging_.reset();
  cu().DevicePrimaryCtxRelease(entry_.handle);
}

uint64_t Device::memory_cap() const {
  const auto text = host_.config("cuda.memory_cap_mb");
  if (!text) return entry_.info.memory_total;
  char* end = nullptr;
  const unsigned long long mb = std::strtoull(text->c_str(), &end, 10);
  if (end != text->c_str() && *end == '\0' && mb >= 1 && mb < (1ull << 40)) return mb << 20;
  host_.log(BP_LOG_WARNING, "cuda", "cuda.memory_cap_mb is '" + *text + "', not a number of MiB; ignored");
  return entry_.info.memory_total;
}

Current Device::enter() const {
  if (lost_.load(std::memory_order_acquire)) [[unlikely]] throw_lost();
  return Current(context_);
}

void Device::throw_lost() const {
  std::lock_guard<std::mutex> lock(lost_mutex_);
  throw sdk::Failure(BP_E_DEVICE_LOST, lost_text_, BP_SCOPE_DEVICE, 0, "cuda", lost_code_);
}

void Device::fail(CUresult code, const char* what, const std::string& after) const {
  if (!means_device_lost(code)) throw failure_of(code, what);
  {
    std::lock_guard<std::mutex> lock(lost_mutex_);
    if (lost_text_.empty()) {
      lost_text_ = "[cuda] device '" + std::string(entry_.info.name) + "' is lost: " + what + " returned " +
                   code_name(code) + (after.empty() ? "" : " after " + after) +
                   "; start the process again (BACKPLANE_CUDA_SYNCHRONOUS=1 names the kernel)";
      lost_code_ = code;
    }
  }
  if (!lost_.exchange(true, std::memory_order_acq_rel)) {
    bp_error event{};
    event.size = sizeof(event);
    sdk::fill_error(&event, BP_E_DEVICE_LOST, lost_text_, BP_SCOPE_DEVICE, 0, "cuda", code);
    host_.device_event(entry_.info.index, event);
  }
  throw_lost();
}

std::unique_ptr<Buffer> Device::alloc(uint64_t bytes, uint32_t kind) {
  const Current current = enter();
  return std::make_unique<Buffer>(kind == BP_MEMORY_STAGING ? staging_ : memory_, bytes, kind);
}

std::unique_ptr<Buffer> Device::import_host(void* data, uint64_t bytes, uint32_t /*access*/) {
  const Current current = enter();
  return std::make_unique<Buffer>(data, bytes);
}

sdk::DlpackPlace Device::dlpack_place(const Buffer& buffer) const {
  if (buffer.host != nullptr) return {{kDLCUDAHost, 0}, buffer.host};
  return {{kDLCUDA, entry_.handle}, reinterpret_cast<void*>(buffer.address)};  // the driver's device is its ordinal
}

std::unique_ptr<Buffer> Device::import_dlpack(DLDevice where, void* data, uint64_t bytes) {
  const Current current = enter();
  const bool here = where.device_type == kDLCUDA && where.device_id == entry_.handle;
  if (!here && where.device_type != kDLCUDAHost && where.device_type != kDLCUDAManaged) {
    throw sdk::Failure(BP_E_UNSUPPORTED, "[cuda] the tensor is on " + sdk::dlpack_name(where) + ", this is CUDA device " +
                                             std::to_string(entry_.handle) + "; copy it there first");
  }
  // The driver knows what it allocated, and by which address this device reaches it.
  const auto at = reinterpret_cast<CUdeviceptr>(data);
  CUdeviceptr address = 0;
  const CUresult code = cu().PointerGetAttribute(&address, CU_POINTER_ATTRIBUTE_DEVICE_POINTER, at);
  if (code == CUDA_ERROR_INVALID_VALUE) {
    throw sdk::Failure(BP_E_INVALID_ARGUMENT, "[cuda] the tensor says that it is on " + sdk::dlpack_name(where) +
                                                  ", but this device cannot reach its address");
  }
  check(code, "cuPointerGetAttribute");
  return std::make_unique<Buffer>(address, bytes);
}

bp_memory_usage Device::usage() const {
  const Current current = enter();
  size_t free = 0, total = 0;
  check(cu().MemGetInfo(&free, &total), "cuMemGetInfo");
  const uint64_t used = memory_->used(), reserved = memory_->reserved();
  const uint64_t idle = reserved > used ? reserved - used : 0;
  return {sizeof(bp_memory_usage), 0, used + staging_->used(), free + idle};
}

std::vector<bp_metric> Device::sample() {
  const Current current = enter();
  size_t free = 0, total = 0;
  check(cu().MemGetInfo(&free, &total), "cuMemGetInfo");
  std::vector<bp_metric> metrics;
  const auto bytes = [&](const char* name, uint64_t value) {
    metrics.push_back(make_metric(name, BP_UNIT_BYTES, static_cast<double>(value)));
  };
  bytes("memory.used", memory_->used());
  bytes("memory.reserved", memory_->reserved());
  bytes("memory.device_used", total - free);  // all processes together
  bytes("memory.device_total", total);
  nvml_.sample(entry_.info.pci, metrics);
  return metrics;
}

void Device::calibrate(uint64_t* ticks, uint64_t* host_ns, uint64_t* deviation_ns) {
  const Current current = enter();
  clock_->calibrate(ticks, host_ns, deviation_ns);
}

std::unique_ptr<Queue> Device::create_queue() {
  const Current current = enter();
  return std::make_unique<Queue>(*this);
}
std::unique_ptr<Event> Device::create_event() {
  const Current current = enter();
  return std::make_unique<Event>(*this);
}

std::vector<LtVariant> Device::products(const bp_op& op) const {
  std::vector<LtVariant> list = lt_variants(*lt_, op);
  const auto needs_compiler = [](const LtVariant& v) { return v.leaves_epilogue || v.needs_alignment; };
  if (!compiler_.problem().empty()) std::erase_if(list, needs_compiler);
  return list;
}

void Device::query(const bp_op& op, sdk::Support& support) {
  const Current current = enter();
  if (!compiler_.problem().empty()) {  // what libraries do needs no compiler
    if (!products(op).empty()) support.yes();
    else support.no("[cuda] " + compiler_.problem());
    return;
  }
  codegen::answer_query(op, entry_.facts, "cuda", support);
}

void Device::variants(const bp_op& op, std::vector<bp_variant>& list) {
  const Current current = enter();
  // cuBLASLt's best is the default; Backplane's own kernels are there to be measured against it.
  for (const LtVariant& v : products(op)) {
    const uint32_t flags = list.empty() ? uint32_t{BP_VARIANT_DEFAULT} : 0u;
    list.push_back(sdk::make_variant(v.name, flags, v.workspace, v.notes, BP_DETERMINISM_RUN, 1));
    // With an epilogue to launch behind it, the build stands for what that is.
    if (!v.leaves_epilogue) list.back().code_hash = codegen::code_hash(BACKPLANE_CUDA_OWN_ID + lt_->version() + v.name, {});
  }
  if (!compiler_.problem().empty()) return;
  codegen::answer_variants(op, entry_.facts, BACKPLANE_CUDA_OWN_ID, list);
  // Behind the default until a GPU has shown that they are right; kernels for operands that lie anywhere come with them.
  for (const dnn::Plan& p : plans_->list(op)) {
    list.push_back(sdk::make_variant(p.name, BP_VARIANT_SLOW_BUILD, p.workspace, p.notes, p.determinism, 1));
  }
}

std::unique_ptr<Kernel> Device::prepare(const bp_op& op, const char* variant) {
  const Current current = enter();
  for (const LtVariant& v : products(op)) {
    if (variant == nullptr || v.name == variant) return prepare_product(op, v);
  }
  if (variant != nullptr && compiler_.problem().empty() && std::string_view(variant).starts_with("cudnn@")) {
    return prepare_plan(op, variant);
  }
  const codegen::Variant chosen = codegen::choose_variant(op, entry_.facts, "cuda", variant);
  auto kernel = std::make_unique<Kernel>();
  kernel->steps = launches(chosen, &kernel->build_time_ns);
  kernel->workspace = chosen.workspace;
  sdk::copy_text(kernel->variant, sizeof(kernel->variant), chosen.name);
  return kernel;
}

Steps Device::launches(const codegen::Variant& variant, uint64_t* build_ns) {
  Steps steps;
  for (codegen::Launch& launch : variant.build().launches) {
    steps.push_back(std::make_unique<Launch>(std::move(launch), *programs_, staging_, build_ns));
  }
  return steps;
}

void Device::add_epilogue(const bp_op& op, bool out_of_workspace, Steps& steps, uint64_t* build_ns) {
  std::vector<bp_tensor_desc> inputs;
  const bp_op epilogue = epilogue_operation(op, inputs);
  const codegen::Variant chosen = codegen::choose_variant(epilogue, entry_.facts, "cuda", nullptr);
  for (codegen::Launch& launch : chosen.build().launches) {
    auto prepared = std::make_unique<Launch>(std::move(launch), *programs_, staging_, build_ns);
    steps.push_back(std::make_unique<Epilogue>(std::move(prepared), out_of_workspace, 2, epilogue.num_inputs));
  }
}

std::unique_ptr<Kernel> Device::prepare_product(const bp_op& op, const LtVariant& variant) {
  auto kernel = std::make_unique<Kernel>();
  kernel->steps.push_back(lt_product(*lt_, variant));
  if (variant.leaves_epilogue) add_epilogue(op, variant.out_of_workspace, kernel->steps, &kernel->build_time_ns);
  kernel->workspace = variant.workspace;
  if (variant.needs_alignment) add_way_for_any_alignment(op, kLtAlignment, *kernel);
  sdk::copy_text(kernel->variant, sizeof(kernel->variant), variant.name);
  return kernel;
}

void Device::add_way_for_any_alignment(const bp_op& op, uint64_t alignment, Kernel& kernel) {
  const codegen::Variant other = codegen::choose_variant(op, entry_.facts, "cuda", nullptr);
  auto both = std::make_unique<ByAlignment>(alignment, op.num_inputs, op.num_outputs, std::move(kernel.steps),
                                            launches(other, &kernel.build_time_ns));
  kernel.steps.clear();
  kernel.steps.push_back(std::move(both));
  kernel.workspace = std::max(kernel.workspace, other.workspace);
}

std::unique_ptr<Kernel> Device::prepare_plan(const bp_op& op, const char* name) {
  const std::optional<dnn::Plan> plan = plans_->find(op, name);
  if (!plan) {
    throw sdk::Failure(BP_E_NOT_FOUND, "[cuda] cuDNN has no plan '" + std::string(name) + "' for this operation; ask for the variants");
  }
  auto kernel = std::make_unique<Kernel>();
  kernel->steps.push_back(plans_->step(*plan));
  if (op.program != nullptr) add_epilogue(op, false, kernel->steps, &kernel->build_time_ns);
  kernel->workspace = plan->workspace;
  add_way_for_any_alignment(op, dnn::kAlignment, *kernel);
  sdk::copy_text(kernel->variant, sizeof(kernel->variant), plan->name);
  return kernel;
}

void* Device::native(void* handle, uint32_t what) {
  switch (what) {
    case BP_NATIVE_DEVICE: return static_cast<Device*>(handle)->context_;
    case BP_NATIVE_QUEUE: return static_cast<Queue*>(handle)->get();
    case BP_NATIVE_BUFFER: return reinterpret_cast<void*>(static_cast<Buffer*>(handle)->address);
  }
  throw sdk::Failure(BP_E_UNSUPPORTED, "[native] kind " + std::to_string(what) + " is unknown to this plugin");
}

}  // namespace backplane::cuda
