// SPDX-License-Identifier: Apache-2.0
// A regular file open for reading from front to back; failures are FileErrors of the component that reads.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>

#include "backplane/file_error.h"

namespace backplane::io {

class RegularFile {
 public:
  RegularFile(const char* component, const std::filesystem::path& file) : component_(component), path_(file.string()) {
    // O_NONBLOCK: opening a named pipe must not wait for a writer; regular files do not care.
    descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor_ < 0) fail(std::strerror(errno), "check the path and its permissions");
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
      ::close(descriptor_);
      fail("not a regular file", "name a file, not a directory or device");
    }
    size_ = static_cast<uint64_t>(status.st_size);
  }
  ~RegularFile() { ::close(descriptor_); }
  RegularFile(const RegularFile&) = delete;
  RegularFile& operator=(const RegularFile&) = delete;

  /// At most `count` bytes; 0 at the end of the file.
  size_t read_some(void* into, size_t count) {
    ssize_t got = 0;
    do {
      got = ::read(descriptor_, into, count);
    } while (got < 0 && errno == EINTR);
    if (got < 0) fail(std::string("cannot read: ") + std::strerror(errno), "check the disk");
    return static_cast<size_t>(got);
  }

  uint64_t size() const { return size_; }  ///< when it was opened
  const std::string& path() const { return path_; }

 private:
  [[noreturn]] void fail(const std::string& problem, const char* remedy) const {
    throw FileError(component_, problem, path_, remedy);
  }

  const char* component_;
  std::string path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
};

}  // namespace backplane::io
