// SPDX-License-Identifier: Apache-2.0
// OpenCL's error codes as Failures with a name, and with the code of the ABI that they mean.
#pragma once

#include <string>

#include "backplane/sdk/error.hpp"
#include "loader.h"

namespace backplane::opencl {

/// "CL_OUT_OF_RESOURCES", or the number.
std::string code_name(cl_int code);

/// The failure of call `what` ("clBuildProgram"), where `code` is not CL_SUCCESS.
sdk::Failure failure_of(cl_int code, const std::string& what);

/// Codes after which nothing more can be expected of a device: OpenCL has none that says so, these are what drivers
/// return once a kernel has crashed or the device is gone.
bool means_device_lost(cl_int code);

inline void check(cl_int code, const char* what) {
  if (code != CL_SUCCESS) [[unlikely]] throw failure_of(code, what);
}

}  // namespace backplane::opencl
