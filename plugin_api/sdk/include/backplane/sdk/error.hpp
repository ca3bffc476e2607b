// SPDX-License-Identifier: Apache-2.0
// Errors on the plugin's side: throw Failure anywhere, the thunks turn whatever is thrown into a bp_error.
//
// Stages: fill_error writes a caller's bp_error, cutting the text at a UTF-8 character; report_current_exception maps
// any exception in flight to status and text; guard wraps a body so that nothing leaves it.
#pragma once

#include <cstring>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "backplane/plugin.h"

namespace backplane::sdk {

/// Thrown by plugin code; carries everything that a bp_error has.
class Failure : public std::runtime_error {
 public:
  Failure(bp_status code, const std::string& message, uint32_t scope = BP_SCOPE_CALL, uint32_t flags = 0,
          const char* domain = "", int64_t native_code = 0)
      : std::runtime_error(message), code(code), scope(scope), flags(flags), native_code(native_code) {
    std::strncpy(this->domain, domain, sizeof(this->domain) - 1);
  }
  bp_status code;
  uint32_t scope;
  uint32_t flags;
  int64_t native_code;
  char domain[16] = {};
};

/// Copies `text` with a NUL at its end into `target`, cut before a character that does not fit whole.
inline void copy_text(char* target, size_t capacity, std::string_view text) noexcept {
  if (capacity == 0) return;
  size_t length = text.size();
  if (length >= capacity) {
    length = capacity - 1;
    // text[length] would be the first byte lost: step back while it continues a character.
    while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0u) == 0x80u) --length;
  }
  if (length > 0) std::memcpy(target, text.data(), length);
  target[length] = '\0';
}

/// Fills the caller's error; NULL and an error struct of another size are left alone.
inline bp_status fill_error(bp_error* error, bp_status code, std::string_view message,
                            uint32_t scope = BP_SCOPE_CALL, uint32_t flags = 0, std::string_view domain = {},
                            int64_t native_code = 0) noexcept {
  if (error == nullptr || error->size < sizeof(bp_error)) return code;
  error->code = code;
  error->scope = scope;
  error->flags = flags;
  error->native_code = native_code;
  copy_text(error->domain, sizeof(error->domain), domain);
  copy_text(error->message, sizeof(error->message), message);
  return code;
}

/// Call inside a catch block.
[[gnu::cold, gnu::noinline]] inline bp_status report_current_exception(bp_error* error) noexcept {
  try {
    throw;
  } catch (const Failure& e) {
    return fill_error(error, e.code, e.what(), e.scope, e.flags, e.domain, e.native_code);
  } catch (const std::bad_alloc&) {
    return fill_error(error, BP_E_OUT_OF_HOST_MEMORY, "out of host memory; free some and try again", BP_SCOPE_CALL,
                      BP_ERROR_RETRYABLE);
  } catch (const std::exception& e) {
    return fill_error(error, BP_E_INTERNAL, e.what());
  } catch (...) {
    return fill_error(error, BP_E_INTERNAL, "internal: an exception that is no std::exception reached the boundary");
  }
}

/// Runs `body` (void, or a bp_status) and turns whatever it throws into a status.
template <class Body>
inline bp_status guard(bp_error* error, Body&& body) noexcept {
  try {
    if constexpr (std::is_void_v<decltype(body())>) {
      body();
      return BP_OK;
    } else {
      return body();
    }
  } catch (...) {
    return report_current_exception(error);
  }
}

}  // namespace backplane::sdk
