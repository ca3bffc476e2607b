// SPDX-License-Identifier: Apache-2.0
// A file that appears whole or not at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

namespace backplane::io {

/// Writes to a temporary file in the directory of the target; commit() syncs it and renames it over the target. Without
/// commit(), the destructor removes it. A symbolic link is followed: the file it points to is replaced. An existing
/// file's permissions are kept. All functions throw FileError. Used from one thread.
class AtomicFile {
 public:
  /// `component` is the tag of messages. Refuses a target that exists and is not a regular file.
  AtomicFile(std::string component, const std::filesystem::path& target);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void commit();

 private:
  [[noreturn]] void fail(const std::string& doing, int error_number) const;

  std::string component_;
  std::filesystem::path target_;
  std::string temporary_;  // empty when there is nothing to remove
  int descriptor_ = -1;
};

}  // namespace backplane::io
