// SPDX-License-Identifier: Apache-2.0
#include "virtual_device.h"

#include <map>
#include <memory>

#include "backplane/host/error.h"

namespace backplane::test {
namespace {

host::Registry& registry(int build) {
  static std::map<int, std::unique_ptr<host::Registry>> made;
  std::unique_ptr<host::Registry>& registry = made[build];
  if (registry == nullptr) {
    host::RegistryOptions options;
    const std::string suffix = build == 1 ? "" : "_" + std::to_string(build);
    options.directories = {VIRTUAL_CLOCK_DIRECTORY + suffix, REFERENCE_DIRECTORY};
    options.allow = "virtual_clock,reference";
    options.probe = false;
    registry = std::make_unique<host::Registry>(std::move(options));
  }
  return *registry;
}

bp_tensor_desc matrix(int64_t rows, int64_t columns, uint32_t dtype) {
  return {dtype, 2, {rows, columns}, {columns, 1}};
}

}  // namespace

host::DevicePtr virtual_device(const std::string& id, int build) {
  for (const host::DeviceEntry& entry : registry(build).devices()) {
    if (entry.plugin == "virtual_clock" && id == entry.info.id) return registry(build).open(entry.name);
  }
  throw host::Error(BP_E_NOT_FOUND, "[test] there is no virtual device " + id);
}

host::DevicePtr reference_device() { return registry(1).reference(); }

int64_t virtual_ns(host::Device& device) {
  uint64_t ticks = 0, host = 0, deviation = 0;
  bp_error error = host::make_error();
  host::check(device.timing()->calibrate(device.handle(), &ticks, &host, &deviation, &error), error, "calibrate");
  return static_cast<int64_t>(ticks);
}

Product::Product(int64_t m, int64_t n, int64_t k, uint32_t dtype)
    : in{matrix(m, k, dtype), matrix(k, n, dtype)}, out{matrix(m, n, dtype)} {
  op.size = sizeof op;
  op.code = BP_OP_MATMUL;
  op.name = "matmul";
  op.inputs = in, op.num_inputs = 2;
  op.outputs = out, op.num_outputs = 1;
  op.max_workspace = UINT64_MAX;
}

autotune::Request virtual_request(const host::DevicePtr& device) {
  autotune::Request request;
  request.oracle = reference_device();
  request.now_ns = [device] { return virtual_ns(*device); };
  return request;
}

}  // namespace backplane::test
