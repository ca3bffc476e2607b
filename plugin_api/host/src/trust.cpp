// SPDX-License-Identifier: Apache-2.0
#include "trust.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

#include "backplane/host/reasons.h"

namespace backplane::host {
namespace {

namespace fs = std::filesystem;

constexpr const char* kOverride = ", or set BACKPLANE_ALLOW_INSECURE_PLUGINS=1 to load it all the same";

std::string quoted(const fs::path& path) { return "\"" + path.string() + "\""; }

void check_permissions(const struct stat& info, const fs::path& path, const std::string& prefix) {
  const std::string what = prefix + quoted(path);
  const std::string code = prefix.empty() ? "" : "directory-";
  if (info.st_uid != 0 && info.st_uid != ::geteuid()) {
    throw Rejection(code + "foreign-owner", what + " is owned by user " + std::to_string(info.st_uid) +
                                                ", neither root nor the user of this process; chown it" + kOverride);
  }
  if ((info.st_mode & S_IWOTH) != 0) {
    throw Rejection(code + "world-writable", what + " can be changed by anybody; chmod o-w it" + kOverride);
  }
  if ((info.st_mode & S_IWGRP) != 0) {
    throw Rejection(code + "group-writable", what + " can be changed by its group " + std::to_string(info.st_gid) +
                                                 "; chmod g-w it" + kOverride);
  }
}

void check_directory(const fs::path& directory) {
  struct stat info {};
  if (::stat(directory.c_str(), &info) != 0) {
    throw Rejection("unreadable",
                    "its directory " + quoted(directory) + " cannot be examined: " + std::strerror(errno));
  }
  check_permissions(info, directory, "its directory ");
}

struct stat stat_file(const fs::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0) return info;
  const int reason = errno;
  struct stat link {};
  const bool is_link = ::lstat(path.c_str(), &link) == 0 && S_ISLNK(link.st_mode);
  if (reason == ELOOP) throw Rejection("link-loop", quoted(path) + " is a symbolic link that leads back to itself");
  if (reason == ENOENT && is_link) {
    std::error_code ignored;
    throw Rejection("dangling-link", quoted(path) + " is a symbolic link to " +
                                         quoted(fs::read_symlink(path, ignored)) + ", which does not exist");
  }
  throw Rejection("unreadable", quoted(path) + " cannot be examined: " + std::strerror(reason));
}

}  // namespace

FileIdentity check_trust(const fs::path& path, bool allow_insecure) {
  struct stat info = stat_file(path);
  if (!S_ISREG(info.st_mode)) {
    const char* what = S_ISDIR(info.st_mode)    ? "a directory"
                       : S_ISFIFO(info.st_mode) ? "a pipe"
                       : S_ISSOCK(info.st_mode) ? "a socket"
                                                : "a device";
    throw Rejection("not-a-file", quoted(path) + " is " + what + ", not a regular file");
  }
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  if (error) throw Rejection("unreadable", quoted(path) + " cannot be resolved: " + error.message());
  // Permissions are read from the opened file: the name may be moved to another one meanwhile.
  const int file = ::open(real.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (file < 0 || ::fstat(file, &info) != 0) {
    const int reason = errno;
    if (file >= 0) ::close(file);
    throw Rejection("unreadable", quoted(real) + " cannot be read: " + std::strerror(reason));
  }
  ::close(file);
  if (!S_ISREG(info.st_mode)) throw Rejection("not-a-file", quoted(real) + " is not a regular file");
  if (!allow_insecure) {
    check_permissions(info, real, "");
    check_directory(real.parent_path());
    if (path.parent_path() != real.parent_path()) check_directory(path.parent_path());
  }
  const auto ns = [](const timespec& t) { return t.tv_sec * std::int64_t{1000000000} + t.tv_nsec; };
  return {real, static_cast<std::uint64_t>(info.st_size), info.st_dev, info.st_ino, ns(info.st_mtim), ns(info.st_ctim)};
}

}  // namespace backplane::host
