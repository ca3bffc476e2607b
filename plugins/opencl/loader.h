// SPDX-License-Identifier: Apache-2.0
// OpenCL's functions, found at run time: the plugin loads on machines without OpenCL and then says what is missing.
#pragma once

#define CL_TARGET_OPENCL_VERSION 300
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include <CL/cl.h>

namespace backplane::opencl {

// The functions of OpenCL 1.2 that are used here. The loader offers them all, whatever the drivers behind it can do.
#define BP_CL_FUNCTIONS(X)                                                                                           \
  X(GetPlatformIDs) X(GetPlatformInfo) X(GetDeviceIDs) X(GetDeviceInfo) X(CreateContext) X(ReleaseContext)           \
  X(CreateCommandQueue) X(ReleaseCommandQueue) X(CreateBuffer) X(ReleaseMemObject) X(CreateProgramWithSource)        \
  X(CreateProgramWithBinary) X(BuildProgram) X(GetProgramInfo) X(GetProgramBuildInfo) X(ReleaseProgram)              \
  X(CreateKernel) X(SetKernelArg) X(ReleaseKernel) X(EnqueueNDRangeKernel) X(EnqueueReadBuffer)                      \
  X(EnqueueWriteBuffer) X(EnqueueCopyBuffer) X(EnqueueFillBuffer) X(EnqueueMapBuffer) X(EnqueueUnmapMemObject)       \
  X(EnqueueMigrateMemObjects) X(EnqueueMarkerWithWaitList) X(EnqueueBarrierWithWaitList) X(GetEventInfo)             \
  X(GetEventProfilingInfo) X(WaitForEvents) X(ReleaseEvent) X(Flush) X(Finish)                                       \
  X(GetExtensionFunctionAddressForPlatform)

struct Api {
#define BP_CL_MEMBER(name) decltype(&::cl##name) name = nullptr;
  BP_CL_FUNCTIONS(BP_CL_MEMBER)
#undef BP_CL_MEMBER
};

/// Opens the loader once; throws BP_E_UNAVAILABLE with the reason when there is none.
const Api& cl();

}  // namespace backplane::opencl
