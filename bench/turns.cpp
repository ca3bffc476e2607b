// SPDX-License-Identifier: Apache-2.0
#include "turns.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "busy.h"

namespace backplane::bench {

namespace {

constexpr int64_t kMeetNs = 10'000'000'000;  // the other may have kernels to compile first
constexpr int64_t kTurnNs = 5'000'000'000;   // much longer than a window
constexpr size_t kMostSaid = 64;
constexpr std::chrono::milliseconds kLook{2};  // before a measurement, where nothing is timed

}  // namespace

struct Turns::Shared {
  std::atomic<uint64_t> at[2];
  std::atomic<uint32_t> turn;  // the side whose turn it is
  uint64_t said_at;            // the measurement of what follows; only who has the turn touches it
  uint64_t said;               // so many
  int64_t values[kMostSaid];
};

Turns::Turns(const std::string& text) {
  const size_t colon = text.rfind(':');
  const std::string side = colon == std::string::npos ? "" : text.substr(colon + 1);
  if (side != "0" && side != "1") throw std::runtime_error("[bench] --turns '" + text + "' is not FILE:0 or FILE:1");
  side_ = side == "1";
  const int file = open(text.substr(0, colon).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  void* map = MAP_FAILED;
  if (file >= 0 && ftruncate(file, sizeof(Shared)) == 0)
    map = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  const int error = errno;
  if (file >= 0) close(file);
  if (map == MAP_FAILED) throw std::system_error(error, std::generic_category(), "[bench] --turns " + text);
  shared_ = static_cast<Shared*>(map);
}

Turns::~Turns() {
  shared_->at[side_] = 0;
  munmap(shared_, sizeof(Shared));
}

bool Turns::other_is_here() const { return shared_->at[1 - side_] == at_; }

bool Turns::meet(const std::string& name) {
  at_ = std::hash<std::string>{}(name) | 1;
  shared_->at[side_] = at_;
  for (const int64_t deadline = now_ns() + kMeetNs; !other_is_here();) {
    if (now_ns() > deadline) {
      shared_->at[side_] = 0;
      return false;
    }
    std::this_thread::sleep_for(kLook);
  }
  return true;
}

void Turns::take() {
  const int64_t deadline = now_ns() + kTurnNs;
  while (shared_->turn != side_ && other_is_here()) {
    if (now_ns() > deadline) shared_->at[1 - side_] = 0;  // it ended without a word
    constexpr timespec kALittle{0, 200'000'000};
    syscall(SYS_futex, &shared_->turn, FUTEX_WAIT, 1 - side_, &kALittle, nullptr, 0);
  }
}

void Turns::pass() {
  shared_->turn = 1 - side_;
  syscall(SYS_futex, &shared_->turn, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

void Turns::leave() {
  pass();
  take();
  shared_->at[side_] = 0;
  // Whoever is last still waits for a turn that does not come back.
  syscall(SYS_futex, &shared_->turn, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

std::vector<int64_t> Turns::agreed(const std::function<std::vector<int64_t>()>& say) {
  if (shared_->said_at == at_) return {shared_->values, shared_->values + shared_->said};
  std::vector<int64_t> values = say();
  if (values.size() > kMostSaid) return values;
  std::ranges::copy(values, shared_->values);
  shared_->said = values.size(), shared_->said_at = at_;
  return values;
}

}  // namespace backplane::bench
