// SPDX-License-Identifier: Apache-2.0
// An OpenCL layer (OPENCL_LAYERS) that stands between the loader and the drivers and makes one function fail, which no
// driver does when asked to.
#define CL_TARGET_OPENCL_VERSION 300
#include <CL/cl_layer.h>

#include <cstring>
#include <mutex>
#include <string>

namespace {

cl_icd_dispatch driver, layer;

struct Fault {
  std::string function;
  cl_int code = 0;
  unsigned skip = 0, count = 0;
};
std::mutex mutex;
Fault fault;

/// The code that this call has to return instead of doing its work; 0: none.
cl_int planned(const char* function) {
  std::lock_guard<std::mutex> lock(mutex);
  if (fault.count == 0 || fault.function != function) return CL_SUCCESS;
  if (fault.skip != 0) {
    --fault.skip;
    return CL_SUCCESS;
  }
  --fault.count;
  return fault.code;
}

cl_mem CL_API_CALL create_buffer(cl_context c, cl_mem_flags f, size_t n, void* p, cl_int* code) {
  const cl_int wrong = planned("clCreateBuffer");
  if (wrong == CL_SUCCESS) return driver.clCreateBuffer(c, f, n, p, code);
  *code = wrong;
  return nullptr;
}
cl_int CL_API_CALL launch(cl_command_queue q, cl_kernel k, cl_uint d, const size_t* o, const size_t* g, const size_t* l,
                          cl_uint n, const cl_event* w, cl_event* e) {
  const cl_int wrong = planned("clEnqueueNDRangeKernel");
  return wrong != CL_SUCCESS ? wrong : driver.clEnqueueNDRangeKernel(q, k, d, o, g, l, n, w, e);
}
cl_int CL_API_CALL finish(cl_command_queue q) {
  const cl_int wrong = planned("clFinish");
  return wrong != CL_SUCCESS ? wrong : driver.clFinish(q);
}
cl_int CL_API_CALL build(cl_program p, cl_uint n, const cl_device_id* d, const char* o,
                         void(CL_CALLBACK* f)(cl_program, void*), void* u) {
  const cl_int wrong = planned("clBuildProgram");
  return wrong != CL_SUCCESS ? wrong : driver.clBuildProgram(p, n, d, o, f, u);
}
/// Here the fault is what the event says of its command, not that the question fails.
cl_int CL_API_CALL event_info(cl_event e, cl_event_info what, size_t n, void* value, size_t* length) {
  const cl_int result = driver.clGetEventInfo(e, what, n, value, length);
  if (what != CL_EVENT_COMMAND_EXECUTION_STATUS || result != CL_SUCCESS) return result;
  if (const cl_int wrong = planned("event"); wrong != CL_SUCCESS) std::memcpy(value, &wrong, sizeof(wrong));
  return result;
}

}  // namespace

/// `function` fails `count` times with `code`, after `skip` good calls.
extern "C" void opencl_fault_set(const char* function, int code, unsigned skip, unsigned count) {
  std::lock_guard<std::mutex> lock(mutex);
  fault = {function, code, skip, count};
}

cl_int CL_API_CALL clGetLayerInfo(cl_layer_info what, size_t capacity, void* value, size_t* length) {
  if (what != CL_LAYER_API_VERSION) return CL_INVALID_VALUE;
  const cl_layer_api_version version = CL_LAYER_API_VERSION_100;
  if (value != nullptr && capacity >= sizeof(version)) std::memcpy(value, &version, sizeof(version));
  if (length != nullptr) *length = sizeof(version);
  return CL_SUCCESS;
}

cl_int CL_API_CALL clInitLayer(cl_uint entries, const cl_icd_dispatch* target, cl_uint* own_entries,
                               const cl_icd_dispatch** own) {
  if (entries < sizeof(cl_icd_dispatch) / sizeof(void*)) return CL_INVALID_VALUE;
  driver = layer = *target;
  layer.clCreateBuffer = create_buffer;
  layer.clEnqueueNDRangeKernel = launch;
  layer.clFinish = finish;
  layer.clBuildProgram = build;
  layer.clGetEventInfo = event_info;
  *own = &layer;
  *own_entries = sizeof(cl_icd_dispatch) / sizeof(void*);
  return CL_SUCCESS;
}
