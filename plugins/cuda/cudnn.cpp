// SPDX-License-Identifier: Apache-2.0
#include "cudnn.h"

#include <dlfcn.h>

#include "driver.h"

namespace backplane::cuda::dnn {
namespace {

constexpr const char* kLibrary = "libcudnn.so.9";
constexpr size_t kOldest = 90000;  // 9.0.0: major * 10000 + minor * 100 + patch

/// Why there is no cuDNN, or empty.
std::string load(const std::string& path, Api& api) {
  std::string problem;
  void* library = open_library(path.c_str(), problem);
  if (library == nullptr) return "no cuDNN (" + std::string(kLibrary) + "): " + problem;
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
    if (function == nullptr && problem.empty()) problem = path + " has no " + name + "; cuDNN from 9 on is needed";
  };
  find(api.GetVersion, "cudnnGetVersion");
  find(api.GetLastErrorString, "cudnnGetLastErrorString");
  find(api.Create, "cudnnCreate");
  find(api.Destroy, "cudnnDestroy");
  find(api.SetStream, "cudnnSetStream");
  find(api.BackendCreateDescriptor, "cudnnBackendCreateDescriptor");
  find(api.BackendDestroyDescriptor, "cudnnBackendDestroyDescriptor");
  find(api.BackendFinalize, "cudnnBackendFinalize");
  find(api.BackendSetAttribute, "cudnnBackendSetAttribute");
  find(api.BackendGetAttribute, "cudnnBackendGetAttribute");
  find(api.BackendExecute, "cudnnBackendExecute");
  if (problem.empty() && api.GetVersion() < kOldest) return path + " is older than 9.0";
  return problem;
}

}  // namespace

int data_type(uint32_t dtype) {
  switch (dtype) {
    case BP_F32: return 0;
    case BP_F64: return 1;
    case BP_F16: return 2;
    case BP_BF16: return 9;
  }
  return -1;
}

const Api* open(const sdk::Host& host, std::string* problem) {
  static std::mutex mutex;
  static bool opened = false;
  static Api api;
  static std::string why;
  std::lock_guard<std::mutex> lock(mutex);
  if (!opened) {
    why = load(host.config("cuda.cudnn").value_or(kLibrary), api);
    if (!why.empty()) host.log(BP_LOG_INFO, "cuda", "convolutions and attention have Backplane's own kernels alone: " + why);
    opened = true;
  }
  if (problem != nullptr) *problem = why;
  return why.empty() ? &api : nullptr;
}

std::string version_text(const Api* api) {
  if (api == nullptr) return "no cuDNN";
  const size_t v = api->GetVersion();
  return "cuDNN " + std::to_string(v / 10000) + "." + std::to_string(v / 100 % 100) + "." + std::to_string(v % 100);
}

void check(const Api& api, int status, const char* what) {
  if (status == 0) return;
  char text[256] = "";
  api.GetLastErrorString(text, sizeof(text));
  // 3000 and up to 3999: not supported; 4003 and 4004 are allocations on the host and on the device.
  const bp_status code = status / 1000 == 3 ? BP_E_UNSUPPORTED : status == 4004 ? BP_E_OUT_OF_MEMORY : BP_E_INTERNAL;
  throw sdk::Failure(code, std::string("[cuda] cuDNN: ") + what + " failed with status " + std::to_string(status) + ": " + text,
                     BP_SCOPE_CALL, 0, "cudnn", status);
}

Descriptor::Descriptor(const Api& api, Kind kind) : api_(api) {
  check(api_, api_.BackendCreateDescriptor(static_cast<int>(kind), &raw_), "making a descriptor");
}
Descriptor::~Descriptor() {
  if (raw_ != nullptr) api_.BackendDestroyDescriptor(raw_);
}

Descriptor& Descriptor::set(Attribute attribute, Type type, const void* values, size_t count) {
  const int name = static_cast<int>(attribute);
  const int status = api_.BackendSetAttribute(raw_, name, static_cast<int>(type), static_cast<int64_t>(count), values);
  check(api_, status, ("setting attribute " + std::to_string(name)).c_str());
  return *this;
}
Descriptor& Descriptor::finalize(const char* what) {
  check(api_, api_.BackendFinalize(raw_), what);
  return *this;
}

int64_t Descriptor::get_int(Attribute attribute) const {
  int64_t count = 0, value = 0;
  const int type = static_cast<int>(Type::int64);
  check(api_, api_.BackendGetAttribute(raw_, static_cast<int>(attribute), type, 1, &count, &value), "reading an attribute");
  return value;
}

std::vector<int> Descriptor::get_ints(Attribute attribute, Type type) const {
  const int name = static_cast<int>(attribute), as = static_cast<int>(type);
  int64_t count = 0;
  check(api_, api_.BackendGetAttribute(raw_, name, as, 0, &count, nullptr), "counting an attribute");
  std::vector<int> values(static_cast<size_t>(count));
  if (count != 0) check(api_, api_.BackendGetAttribute(raw_, name, as, count, &count, values.data()), "reading an attribute");
  values.resize(static_cast<size_t>(count));
  return values;
}

std::vector<Descriptor> Descriptor::get(Attribute attribute, Kind kind, size_t most) const {
  std::vector<Descriptor> all;  // made before they are asked for: cuDNN fills them
  std::vector<RawDescriptor> raw;
  for (size_t i = 0; i < most; ++i) raw.push_back(all.emplace_back(api_, kind).raw());
  int64_t count = 0;
  const int name = static_cast<int>(attribute), type = static_cast<int>(Type::descriptor);
  check(api_, api_.BackendGetAttribute(raw_, name, type, static_cast<int64_t>(most), &count, raw.data()), "reading descriptors");
  while (all.size() > static_cast<size_t>(count)) all.pop_back();
  return all;
}

Session::~Session() {
  if (handle_ == nullptr) return;
  const Current current(context_);
  api_->Destroy(handle_);
}

Handle Session::handle() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (api_ == nullptr || std::exchange(asked_, true)) return handle_;
  context_ = current_context();
  try {
    check(*api_, api_->Create(&handle_), "cudnnCreate");
  } catch (const sdk::Failure& failure) {
    handle_ = nullptr;
    host_.log(BP_LOG_WARNING, "cuda", std::string(failure.what()) + "; not used");
  }
  return handle_;
}

void Session::execute(CUstream stream, const Descriptor& plan, const Descriptor& variant_pack) {
  std::lock_guard<std::mutex> lock(mutex_);
  check(*api_, api_->SetStream(handle_, stream), "cudnnSetStream");
  check(*api_, api_->BackendExecute(handle_, plan.raw(), variant_pack.raw()), "cudnnBackendExecute");
}

}  // namespace backplane::cuda::dnn
