// SPDX-License-Identifier: Apache-2.0
// Temporary file, write, fsync, rename, fsync of the directory: the order that leaves either the old file or the new
// one after a crash (see "Files are hard", and rename(2)). Does not lock: of two writers the last one to commit wins.
#include "backplane/io/atomic_file.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

#include "backplane/file_error.h"

namespace backplane::io {
namespace {

/// Beyond the file size limit of the process write(2) raises SIGXFSZ, whose default is death. Held back here, so that
/// write returns EFBIG and the caller gets an error like any other.
class HoldFileSizeSignal {
 public:
  HoldFileSizeSignal() {
    sigemptyset(&only_);
    sigaddset(&only_, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &only_, &before_);
  }
  ~HoldFileSizeSignal() {
    const int kept = errno;
    if (sigismember(&before_, SIGXFSZ) == 0) {
      const timespec at_once{0, 0};
      while (sigtimedwait(&only_, nullptr, &at_once) > 0) {
      }
      pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    errno = kept;
  }

 private:
  sigset_t only_;
  sigset_t before_;
};

const char* remedy_for(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      return "free some space or save elsewhere; nothing was changed";
    case EFBIG:
      return "raise the file size limit (ulimit -f) or save elsewhere; nothing was changed";
    case EACCES:
    case EPERM:
    case EROFS:
      return "save to a directory that you may write to";
    case ENOENT:
    case ENOTDIR:
      return "create the directory first";
    default:
      return "nothing was changed; try again or save elsewhere";
  }
}

/// The file a chain of links ends at, also when that file does not exist yet.
std::filesystem::path resolve(const std::filesystem::path& target) {
  std::filesystem::path at = target;
  for (int links = 0; links < 40; ++links) {
    std::error_code not_a_link;
    const auto next = std::filesystem::read_symlink(at, not_a_link);
    if (not_a_link) return at;
    at = next.is_absolute() ? next : at.parent_path() / next;
  }
  return at;
}

}  // namespace

AtomicFile::AtomicFile(std::string component, const std::filesystem::path& target)
    : component_(std::move(component)), target_(resolve(target)) {
  if (target.filename().empty())
    throw FileError(component_, "not a file name", target.string(), "name a file to save to");
  struct stat old {};
  const bool exists = ::stat(target_.c_str(), &old) == 0;
  if (exists && !S_ISREG(old.st_mode)) {
    throw FileError(component_, "exists and is not a regular file", target_.string(),
                    "name a file, not a directory or device");
  }
  // Unique per process and call; O_EXCL makes a collision with a leftover an error that the next number avoids.
  static std::atomic<unsigned> counter{0};
  do {
    temporary_ = (target_.parent_path() / ("." + target_.filename().string() + ".")).string() +
                 std::to_string(::getpid()) + "-" + std::to_string(counter++) + ".tmp";
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (descriptor_ < 0 && errno == EEXIST);
  if (descriptor_ < 0) {
    const int error_number = errno;
    temporary_.clear();
    fail("cannot create a file there", error_number);
  }
  if (exists)
    (void)::fchmod(descriptor_, old.st_mode & 07777);  // a foreign owner's file: keep ours, the save still works
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::fail(const std::string& doing, int error_number) const {
  throw FileError(component_, doing + ": " + std::strerror(error_number), target_.string(), remedy_for(error_number));
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  const HoldFileSizeSignal hold;
  while (!bytes.empty()) {
    const ssize_t put = ::write(descriptor_, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail("cannot write", errno);
    if (put == 0) fail("cannot write", ENOSPC);
    bytes = bytes.subspan(static_cast<size_t>(put));
  }
}

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) fail("cannot write to the disk", errno);
  const int closed = ::close(std::exchange(descriptor_, -1));
  if (closed != 0 && errno != EINTR) fail("cannot write to the disk", errno);  // network file systems report here
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail("cannot rename the finished file", errno);
  temporary_.clear();
  // The rename itself survives a power cut only once the directory is synced; some file systems cannot, which is no
  // error.
  const auto parent = target_.parent_path();
  const int directory = ::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory >= 0) {
    (void)::fsync(directory);
    ::close(directory);
  }
}

}  // namespace backplane::io
