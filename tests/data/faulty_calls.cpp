// SPDX-License-Identifier: Apache-2.0
// See the header. Only the thread of the test saves files, so nothing here is locked.
#include "faulty_calls.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>

namespace backplane::tests {
namespace {

constexpr int kCalls = 5;
int error_numbers[kCalls];
int skips[kCalls];
int counts[kCalls];
unsigned write_limit;

bool fails(Call call) {
  const int i = static_cast<int>(call);
  ++counts[i];
  if (error_numbers[i] == 0 || skips[i]-- > 0) return false;
  errno = error_numbers[i];
  error_numbers[i] = 0;
  return true;
}

}  // namespace

void arm(Call call, int error_number, int skip) {
  error_numbers[static_cast<int>(call)] = error_number;
  skips[static_cast<int>(call)] = skip;
}
void limit_writes(unsigned bytes) { write_limit = bytes; }
void disarm() {
  std::fill_n(error_numbers, kCalls, 0);
  std::fill_n(counts, kCalls, 0);
  write_limit = 0;
}
int calls(Call call) { return counts[static_cast<int>(call)]; }

}  // namespace backplane::tests

using backplane::tests::Call;

extern "C" {
int __real_open(const char*, int, ...);
ssize_t __real_write(int, const void*, size_t);
int __real_fsync(int);
int __real_close(int);
int __real_rename(const char*, const char*);

int __wrap_open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const auto mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : mode_t{0};
  va_end(rest);
  return backplane::tests::fails(Call::open) ? -1 : __real_open(path, flags, mode);
}
ssize_t __wrap_write(int descriptor, const void* bytes, size_t count) {
  if (backplane::tests::fails(Call::write)) return -1;
  const unsigned limit = backplane::tests::write_limit;
  return __real_write(descriptor, bytes, limit == 0 ? count : std::min<size_t>(count, limit));
}
int __wrap_fsync(int descriptor) { return backplane::tests::fails(Call::fsync) ? -1 : __real_fsync(descriptor); }
int __wrap_close(int descriptor) {
  const bool failing = backplane::tests::fails(Call::close);
  const int error_number = errno;
  const int result = __real_close(descriptor);  // a failing close still closes
  if (failing) errno = error_number;
  return failing ? -1 : result;
}
int __wrap_rename(const char* from, const char* to) {
  return backplane::tests::fails(Call::rename) ? -1 : __real_rename(from, to);
}
}
