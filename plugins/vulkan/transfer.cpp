// SPDX-License-Identifier: Apache-2.0
// Bytes between host and device, and within the device.
//
// Memory that the host sees is written in place when the queue has nothing to do, and read in place after waiting.
// Everything else goes through staging memory in pieces; a copy to the host ends with a memcpy that runs once the piece
// has arrived (Stream::drain).
#include <algorithm>
#include <cstring>
#include <set>

#include "queue.h"

namespace backplane::vulkan {
namespace {

constexpr uint64_t kPiece = uint64_t{8} << 20;        // staged at once
constexpr uint64_t kMostStaged = uint64_t{64} << 20;  // in flight, per queue
constexpr uint64_t kLargeUpload = uint64_t{4} << 20;  // waiting and writing in place beats copying twice
constexpr uint64_t kFillPiece = uint64_t{64} << 10;

const Buffer& checked(const bp_view& view, uint64_t bytes) {
  const Buffer* buffer = buffer_of(view);
  const uint64_t size = buffer != nullptr ? buffer->allocation.bytes : 0;
  if (buffer == nullptr || view.offset > size || bytes > size - view.offset) {
    throw sdk::Failure(BP_E_INVALID_ARGUMENT, "[queue] " + std::to_string(bytes) + " bytes at offset " +
                                                  std::to_string(view.offset) + " lie outside a buffer of " +
                                                  std::to_string(size) + " bytes");
  }
  return *buffer;
}

}  // namespace

/// Host-visible memory that lives until the work recorded now is done (while capturing: as long as the recording).
Allocation Stream::staging(uint64_t bytes) {
  if (recording_ == nullptr && staged_bytes_ + bytes > kMostStaged) {
    submit();
    wait_all();
    for (Deferred& job : deferred_) {
      if (job.other == nullptr) release(job);
    }
    std::erase_if(deferred_, [](const Deferred& job) { return job.other == nullptr; });
  }
  const Allocation piece = memory_.take(bytes, BP_MEMORY_STAGING);
  if (recording_ != nullptr) {
    recording_->staging.push_back(piece);
  } else {
    staged_bytes_ += bytes;
  }
  return piece;
}

void Stream::release(Deferred& job) {
  if (job.staging.block == nullptr) return;
  if (job.target != nullptr) std::memcpy(job.target, job.staging.mapped(), job.staging.bytes);
  staged_bytes_ -= job.staging.bytes;
  memory_.give(job.staging);
  job.staging.block = nullptr;
}

void Stream::drain_own(std::vector<std::shared_ptr<Stream>>& others) {
  std::lock_guard draining(drain_mutex_);
  std::lock_guard lock(mutex_);
  const uint64_t done = completed();
  while (!deferred_.empty() && deferred_.front().value <= done) {
    Deferred& job = deferred_.front();
    if (job.other != nullptr)
      others.push_back(std::move(job.other));
    else
      release(job);
    deferred_.pop_front();
  }
}

void Stream::drain() {
  std::vector<std::shared_ptr<Stream>> others;
  std::set<const Stream*> seen{this};
  drain_own(others);
  while (!others.empty()) {
    const std::shared_ptr<Stream> next = std::move(others.back());
    others.pop_back();
    if (seen.insert(next.get()).second) next->drain_own(others);
  }
}

void Stream::upload_staged(const Buffer& target, uint64_t offset, const char* source, uint64_t bytes) {
  while (bytes != 0) {
    const uint64_t n = std::min(bytes, kPiece);
    const Allocation piece = staging(n);
    std::memcpy(piece.mapped(), source, n);
    recorder().copy(target.allocation, offset, piece, 0, n);
    if (recording_ == nullptr) deferred_.push_back({pending_value(), piece, nullptr, nullptr});
    source += n, offset += n, bytes -= n;
  }
}

void Stream::upload(const bp_view& view, const void* source, uint64_t bytes) {
  std::lock_guard lock(mutex_);
  forbid_capture("upload");
  if (!ready("upload") || bytes == 0) return;
  const Buffer& target = checked(view, bytes);
  char* mapped = target.allocation.mapped();
  if (mapped != nullptr && !idle() && bytes >= kLargeUpload) {
    submit();
    wait_all();
  }
  if (mapped != nullptr && idle()) {
    std::memcpy(mapped + view.offset, source, bytes);
  } else {
    upload_staged(target, view.offset, static_cast<const char*>(source), bytes);
  }
}

void Stream::download(void* target, const bp_view& view, uint64_t bytes) {
  std::lock_guard lock(mutex_);
  forbid_capture("download");
  if (!ready("download") || bytes == 0) return;
  const Buffer& source = checked(view, bytes);
  if (const char* mapped = source.allocation.mapped(); mapped != nullptr) {
    submit();
    wait_all();
    if (!failed_) std::memcpy(target, mapped + view.offset, bytes);
    return;
  }
  char* at = static_cast<char*>(target);
  for (uint64_t offset = view.offset; bytes != 0;) {
    const uint64_t n = std::min(bytes, kPiece);
    const Allocation piece = staging(n);
    recorder().copy(piece, 0, source.allocation, offset, n);
    deferred_.push_back({pending_value(), piece, at, nullptr});
    at += n, offset += n, bytes -= n;
  }
}

void Stream::copy(const bp_view& to, const bp_view& from, uint64_t bytes) {
  std::lock_guard lock(mutex_);
  if (!ready("copy") || bytes == 0) return;
  const Buffer &target = checked(to, bytes), &source = checked(from, bytes);
  recorder().copy(target.allocation, to.offset, source.allocation, from.offset, bytes);
}

void Stream::fill(const bp_view& view, const void* pattern, uint32_t pattern_bytes, uint64_t bytes) {
  std::lock_guard lock(mutex_);
  if (!ready("fill") || bytes == 0) return;
  const Buffer& target = checked(view, bytes);
  const uint64_t begin = target.allocation.offset + view.offset;
  uint32_t words[2];  // the pattern repeated over 8 bytes
  for (uint32_t i = 0; i < 8; i += pattern_bytes)
    std::memcpy(reinterpret_cast<char*>(words) + i, pattern, pattern_bytes);
  // vkCmdFillBuffer repeats 4 bytes over whole words; what does not suit it is copied from a piece of staging memory.
  if (words[0] == words[1] && begin % 4 == 0 && bytes % 4 == 0) {
    recorder().fill(target.allocation, view.offset, bytes, words[0]);
    return;
  }
  const Allocation piece = staging(std::min(bytes, kFillPiece));
  for (uint64_t i = 0; i < piece.bytes; ++i) piece.mapped()[i] = reinterpret_cast<const char*>(words)[i % 8];
  for (uint64_t done = 0; done < bytes; done += piece.bytes) {
    recorder().copy(target.allocation, view.offset + done, piece, 0, std::min(piece.bytes, bytes - done));
  }
  if (recording_ == nullptr) deferred_.push_back({pending_value(), piece, nullptr, nullptr});
}

}  // namespace backplane::vulkan
