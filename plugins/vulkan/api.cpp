// SPDX-License-Identifier: Apache-2.0
#include "api.h"

#include "backplane/sdk/error.hpp"

namespace backplane::vulkan {
namespace {

struct ResultRow {
  VkResult result;
  const char* name;
  bp_status status;
  uint32_t scope, flags;
  const char* advice;
};
constexpr ResultRow kResults[] = {
    {VK_ERROR_OUT_OF_HOST_MEMORY, "VK_ERROR_OUT_OF_HOST_MEMORY", BP_E_OUT_OF_HOST_MEMORY, BP_SCOPE_CALL,
     BP_ERROR_RETRYABLE, "free some host memory and try again"},
    {VK_ERROR_OUT_OF_DEVICE_MEMORY, "VK_ERROR_OUT_OF_DEVICE_MEMORY", BP_E_OUT_OF_MEMORY, BP_SCOPE_CALL,
     BP_ERROR_RETRYABLE, "free buffers or use smaller batches"},
    {VK_ERROR_DEVICE_LOST, "VK_ERROR_DEVICE_LOST", BP_E_DEVICE_LOST, BP_SCOPE_DEVICE, 0,
     "close the device and open it again; the driver's log says why"},
    {VK_ERROR_INITIALIZATION_FAILED, "VK_ERROR_INITIALIZATION_FAILED", BP_E_UNAVAILABLE, BP_SCOPE_CALL, 0,
     "the driver did not start; its own log says why"},
    {VK_ERROR_INCOMPATIBLE_DRIVER, "VK_ERROR_INCOMPATIBLE_DRIVER", BP_E_UNAVAILABLE, BP_SCOPE_CALL, 0,
     "install a Vulkan driver (mesa-vulkan-drivers)"},
    {VK_ERROR_LAYER_NOT_PRESENT, "VK_ERROR_LAYER_NOT_PRESENT", BP_E_UNAVAILABLE, BP_SCOPE_CALL, 0,
     "install the layer or do not ask for it"},
    {VK_ERROR_EXTENSION_NOT_PRESENT, "VK_ERROR_EXTENSION_NOT_PRESENT", BP_E_UNSUPPORTED, BP_SCOPE_CALL, 0,
     "update the driver"},
    {VK_ERROR_FEATURE_NOT_PRESENT, "VK_ERROR_FEATURE_NOT_PRESENT", BP_E_UNSUPPORTED, BP_SCOPE_CALL, 0,
     "update the driver"},
    {VK_ERROR_MEMORY_MAP_FAILED, "VK_ERROR_MEMORY_MAP_FAILED", BP_E_OUT_OF_HOST_MEMORY, BP_SCOPE_CALL,
     BP_ERROR_RETRYABLE, "free some host memory and try again"},
    {VK_ERROR_TOO_MANY_OBJECTS, "VK_ERROR_TOO_MANY_OBJECTS", BP_E_OUT_OF_MEMORY, BP_SCOPE_CALL, BP_ERROR_RETRYABLE,
     "free buffers or kernels"},
    {VK_ERROR_FRAGMENTED_POOL, "VK_ERROR_FRAGMENTED_POOL", BP_E_OUT_OF_MEMORY, BP_SCOPE_CALL, BP_ERROR_RETRYABLE,
     "free buffers or kernels"},
    {VK_ERROR_OUT_OF_POOL_MEMORY, "VK_ERROR_OUT_OF_POOL_MEMORY", BP_E_OUT_OF_MEMORY, BP_SCOPE_CALL, BP_ERROR_RETRYABLE,
     "free buffers or kernels"},
    {VK_ERROR_INVALID_EXTERNAL_HANDLE, "VK_ERROR_INVALID_EXTERNAL_HANDLE", BP_E_UNSUPPORTED, BP_SCOPE_CALL, 0,
     "this memory cannot be imported; copy it"},
};
constexpr ResultRow kOther = {VK_ERROR_UNKNOWN, "", BP_E_INTERNAL, BP_SCOPE_CALL, 0, "see the driver's log"};

const ResultRow& row_of(VkResult result) {
  for (const ResultRow& row : kResults) {
    if (row.result == result) return row;
  }
  return kOther;
}

}  // namespace

std::string result_name(VkResult result) {
  const ResultRow& row = row_of(result);
  return row.name[0] != '\0' ? row.name : "VkResult " + std::to_string(result);
}

void check_result(VkResult result, const char* what) {
  if (result >= 0) [[likely]]
    return;
  const ResultRow& row = row_of(result);
  throw sdk::Failure(row.status, std::string("[vulkan] ") + what + ": " + result_name(result) + "; " + row.advice,
                     row.scope, row.flags, "vulkan", result);
}

}  // namespace backplane::vulkan
