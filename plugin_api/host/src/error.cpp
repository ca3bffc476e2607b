// SPDX-License-Identifier: Apache-2.0
#include "backplane/host/error.h"

#include <cstring>
#include <iterator>

#include "backplane/host/text.h"

namespace backplane::host {
namespace {

struct StatusText {
  bp_status status;
  const char* text;
};
constexpr StatusText kStatusTexts[] = {
    {BP_OK, "success"},
    {BP_INCOMPLETE, "the array was too short"},
    {BP_NOT_READY, "not ready yet"},
    {BP_E_INVALID_ARGUMENT, "invalid argument"},
    {BP_E_UNSUPPORTED, "not supported"},
    {BP_E_OUT_OF_MEMORY, "out of device memory"},
    {BP_E_OUT_OF_HOST_MEMORY, "out of host memory"},
    {BP_E_DEVICE_LOST, "the device is lost"},
    {BP_E_UNAVAILABLE, "not available here"},
    {BP_E_ABI, "versions do not fit together"},
    {BP_E_COMPILE, "a kernel could not be built"},
    {BP_E_NOT_FOUND, "not found"},
    {BP_E_DEPENDENCY, "something this call waited for has failed"},
    {BP_E_CANCELLED, "cancelled"},
    {BP_E_INTERNAL, "a bug of the plugin"},
};

/// A char array of a plugin's struct need not be terminated, whatever the contract says.
template <std::size_t N>
std::string bounded(const char (&text)[N]) {
  return clean_text(std::string_view(text, strnlen(text, N)));
}

}  // namespace

const char* status_text(bp_status status) {
  for (const StatusText& entry : kStatusTexts) {
    if (entry.status == status) return entry.text;
  }
  return status < 0 ? "an unknown failure" : "an unknown kind of success";
}

void check(bp_status status, const bp_error& error, const std::string& where) {
  if (status >= 0) return;
  std::string message = "[" + where + "] " + status_text(status);
  if (const std::string text = bounded(error.message); !text.empty()) message += ": " + text;
  if (error.native_code != 0) {
    message += " (" + bounded(error.domain) + " code " + std::to_string(error.native_code) + ")";
  }
  throw Error(status, message, error.scope, error.flags);
}

}  // namespace backplane::host
