// SPDX-License-Identifier: Apache-2.0
#include "status.h"

namespace backplane::opencl {
namespace {

struct Row {
  cl_int code;
  const char* name;
  bp_status status;
};

#define ROW(name, status) {name, #name, status}
constexpr Row kRows[] = {
    ROW(CL_DEVICE_NOT_FOUND, BP_E_UNAVAILABLE),
    ROW(CL_DEVICE_NOT_AVAILABLE, BP_E_DEVICE_LOST),
    ROW(CL_COMPILER_NOT_AVAILABLE, BP_E_COMPILE),
    ROW(CL_MEM_OBJECT_ALLOCATION_FAILURE, BP_E_OUT_OF_MEMORY),
    ROW(CL_OUT_OF_RESOURCES, BP_E_OUT_OF_MEMORY),
    ROW(CL_OUT_OF_HOST_MEMORY, BP_E_OUT_OF_HOST_MEMORY),
    ROW(CL_PROFILING_INFO_NOT_AVAILABLE, BP_E_INTERNAL),
    ROW(CL_BUILD_PROGRAM_FAILURE, BP_E_COMPILE),
    ROW(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST, BP_E_DEPENDENCY),
    ROW(CL_INVALID_VALUE, BP_E_INTERNAL),
    ROW(CL_INVALID_DEVICE, BP_E_INTERNAL),
    ROW(CL_INVALID_CONTEXT, BP_E_DEVICE_LOST),
    ROW(CL_INVALID_COMMAND_QUEUE, BP_E_DEVICE_LOST),
    ROW(CL_INVALID_HOST_PTR, BP_E_INTERNAL),
    ROW(CL_INVALID_MEM_OBJECT, BP_E_INTERNAL),
    ROW(CL_INVALID_BINARY, BP_E_COMPILE),
    ROW(CL_INVALID_BUILD_OPTIONS, BP_E_COMPILE),
    ROW(CL_INVALID_PROGRAM, BP_E_COMPILE),
    ROW(CL_INVALID_PROGRAM_EXECUTABLE, BP_E_COMPILE),
    ROW(CL_INVALID_KERNEL_NAME, BP_E_COMPILE),
    ROW(CL_INVALID_KERNEL, BP_E_INTERNAL),
    ROW(CL_INVALID_ARG_INDEX, BP_E_INTERNAL),
    ROW(CL_INVALID_ARG_VALUE, BP_E_INTERNAL),
    ROW(CL_INVALID_ARG_SIZE, BP_E_INTERNAL),
    ROW(CL_INVALID_KERNEL_ARGS, BP_E_INTERNAL),
    ROW(CL_INVALID_WORK_DIMENSION, BP_E_INTERNAL),
    ROW(CL_INVALID_WORK_GROUP_SIZE, BP_E_INTERNAL),
    ROW(CL_INVALID_WORK_ITEM_SIZE, BP_E_INTERNAL),
    ROW(CL_INVALID_EVENT_WAIT_LIST, BP_E_INTERNAL),
    ROW(CL_INVALID_EVENT, BP_E_INTERNAL),
    ROW(CL_INVALID_OPERATION, BP_E_INTERNAL),
    ROW(CL_INVALID_BUFFER_SIZE, BP_E_OUT_OF_MEMORY),
    ROW(CL_INVALID_GLOBAL_WORK_SIZE, BP_E_INTERNAL),
    ROW(CL_INVALID_PROPERTY, BP_E_UNSUPPORTED),
};
#undef ROW

const Row* find(cl_int code) {
  for (const Row& row : kRows) {
    if (row.code == code) return &row;
  }
  return nullptr;
}

}  // namespace

std::string code_name(cl_int code) {
  const Row* row = find(code);
  return row != nullptr ? row->name : "OpenCL error " + std::to_string(code);
}

sdk::Failure failure_of(cl_int code, const std::string& what) {
  const Row* row = find(code);
  const bp_status status = row != nullptr ? row->status : static_cast<bp_status>(BP_E_INTERNAL);
  const bool memory = status == BP_E_OUT_OF_MEMORY || status == BP_E_OUT_OF_HOST_MEMORY;
  return sdk::Failure(status, "[opencl] " + what + " failed: " + code_name(code) +
                                  (memory ? "; free buffers or use smaller batches" : ""),
                      BP_SCOPE_CALL, memory ? uint32_t{BP_ERROR_RETRYABLE} : 0, "opencl", code);
}

bool means_device_lost(cl_int code) {
  return code == CL_DEVICE_NOT_AVAILABLE || code == CL_INVALID_CONTEXT || code == CL_INVALID_COMMAND_QUEUE ||
         code == CL_OUT_OF_RESOURCES;
}

}  // namespace backplane::opencl
