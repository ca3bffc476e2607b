// SPDX-License-Identifier: Apache-2.0
#include "plan/host_fallback.h"

#include <utility>
#include <vector>

namespace backplane::graph {
namespace {

/// Elements that a strided tensor touches: [low, high] relative to its buffer, in elements.
std::pair<int64_t, int64_t> extent_of(const Place& p) {
  int64_t low = p.layout.offset, high = p.layout.offset;
  for (int axis = 0; axis < p.type.shape.rank(); ++axis) {
    const int64_t reach = p.layout.strides[static_cast<size_t>(axis)] * (p.type.shape[axis] - 1);
    (reach < 0 ? low : high) += reach;
  }
  return {low, high};
}

/// The bytes of one operand on both devices: as much as lies between its lowest and its highest element.
struct Staged {
  const Place& place;
  bp_view original;     ///< element (0, ..., 0) on the device
  StoragePtr copy;      ///< on the fallback
  uint64_t before = 0;  ///< bytes from the lowest element to element (0, ..., 0)
  uint64_t bytes = 0;

  Staged(const Place& p, const bp_view& view, Stream& fallback) : place(p), original(view) {
    const auto [low, high] = extent_of(p);
    before = static_cast<uint64_t>((p.layout.offset - low) * size_of(p.type.dtype));
    bytes = static_cast<uint64_t>((high - low + 1) * size_of(p.type.dtype));
    copy = fallback.alloc(bytes);
  }
  bp_view lowest() const { return {original.buffer, original.offset - before}; }
  bp_view on_fallback() const { return {copy->buffer(), before}; }
};

void load(const Staged& staged, Stream& device, Stream& fallback, std::vector<std::byte>& bytes) {
  if (staged.place.type.elements() == 0) return;
  bytes.resize(staged.bytes);
  device.device()->download(device.host_queue(), bytes.data(), staged.lowest(), staged.bytes);
  device.finish();
  fallback.upload(staged.copy, 0, bytes.data(), staged.bytes);
}

void store(const Staged& staged, Stream& device, Stream& fallback, std::vector<std::byte>& bytes) {
  if (staged.place.type.elements() == 0) return;
  bytes.resize(staged.bytes);
  fallback.download(bytes.data(), staged.copy, 0, staged.bytes);
  device.device()->upload(device.host_queue(), staged.lowest(), bytes.data(), staged.bytes);
}

}  // namespace

bp_status run_on_host(const Launch& launch, std::span<const bp_view> views, Stream& device, Stream& fallback,
                      bp_error* error) {
  const std::lock_guard lock(fallback.mutex());
  std::vector<Staged> operands;
  std::vector<bp_view> there;
  std::vector<std::byte> bytes;
  for (size_t i = 0; i < views.size(); ++i) {
    const bool output = i >= launch.in.size();
    const Place& p = output ? launch.out[i - launch.in.size()] : launch.in[i];
    operands.emplace_back(p, views[i], fallback);
    there.push_back(operands.back().on_fallback());
    // What lies between an output's elements comes along, so that it can be written back.
    if (!output || !is_dense(p.type.shape, p.layout)) load(operands.back(), device, fallback, bytes);
  }
  const StoragePtr workspace = fallback.alloc(launch.kernel->workspace);
  const bp_status status = fallback.device()->kernels().enqueue(
      fallback.queue(), launch.kernel->handle.get(), there.data(), there.data() + launch.in.size(),
      {workspace->buffer(), 0}, error);
  if (status < 0) return status;
  for (size_t i = launch.in.size(); i < operands.size(); ++i) store(operands[i], device, fallback, bytes);
  return status;
}

}  // namespace backplane::graph
