// SPDX-License-Identifier: Apache-2.0
// Moving B bytes: to a device, back, within it, and from one device to another through the host, as tensors are moved.
// What arrives is compared once.
#include <cstring>

#include "backplane/host/error.h"
#include "kernels.h"
#include "program_job.h"

namespace backplane::bench {

namespace {

/// A block of a device and one of the host.
struct Blocks {
  Blocks(const host::DevicePtr& device, int64_t size)
      : stream(graph::Stream::of(device)),
        bytes(static_cast<uint64_t>(size)),
        memory(stream->alloc(bytes)),
        host(bytes) {
    for (size_t i = 0; i < host.size(); ++i) host[i] = static_cast<std::byte>(i * 131 >> 3);
  }
  void upload() { stream->upload(memory, 0, host.data(), bytes); }
  void download(std::vector<std::byte>& to) { stream->download(to.data(), memory, 0, bytes); }
  graph::StreamPtr stream;
  uint64_t bytes;
  graph::StoragePtr memory;
  std::vector<std::byte> host;
};

/// Error 0 when `blocks` holds what `sent` does.
void compare(Work& work, Blocks& blocks, const std::vector<std::byte>& sent) {
  std::vector<std::byte> back(blocks.bytes);
  blocks.download(back);
  work.error = back == sent ? 0.0 : 1.0, work.allowed = 0;
}

Work to_device(const ProgramArguments& a) {
  const auto blocks = std::make_shared<Blocks>(a.device, a.dimension("B"));
  blocks->upload();
  Work work;
  compare(work, *blocks, blocks->host);
  work.call = [blocks] { blocks->upload(); }, work.finish = [blocks] { blocks->stream->finish(); };
  work.bytes = static_cast<double>(blocks->bytes);
  return work;
}

Work to_host(const ProgramArguments& a) {
  Work work = to_device(a);
  const auto blocks = std::make_shared<Blocks>(a.device, a.dimension("B"));
  blocks->upload();
  work.call = [blocks] { blocks->download(blocks->host); }, work.finish = nullptr;
  return work;
}

Work within_device(const ProgramArguments& a) {
  const auto from = std::make_shared<Blocks>(a.device, a.dimension("B")),
             to = std::make_shared<Blocks>(a.device, a.dimension("B"));
  const auto copy = [from, to] {
    bp_error error = host::make_error();
    const host::DevicePtr& device = from->stream->device();
    host::check(device->queues().copy(from->stream->queue(), {to->memory->buffer(), 0}, {from->memory->buffer(), 0},
                                      from->bytes, &error),
                error, device->name() + ": copy");
  };
  from->upload();
  copy();
  Work work;
  compare(work, *to, from->host);
  work.call = copy, work.finish = [from] { from->stream->finish(); };
  work.bytes = 2.0 * static_cast<double>(from->bytes);
  return work;
}

Work to_other(const ProgramArguments& a) {
  const host::DevicePtr other = host::Registry::instance().open(a.word("to", "cpu"));
  if (other == a.device) throw Error("it is the same device");
  const auto from = std::make_shared<Blocks>(a.device, a.dimension("B")),
             to = std::make_shared<Blocks>(other, a.dimension("B"));
  const auto move = [from, to] {
    from->download(to->host);
    to->upload();
    to->stream->finish();
  };
  from->upload();
  move();
  Work work;
  compare(work, *to, from->host);
  work.call = move;
  work.bytes = static_cast<double>(from->bytes);
  return work;
}

constexpr Program kPrograms[] = {
    {"to_device", "B bytes from host memory", false, to_device},
    {"to_host", "B bytes back", false, to_host},
    {"within_device", "a copy of B bytes by the queue", false, within_device},
    {"to_other", "B bytes to the device to=cpu, through the host", false, to_other},
};

}  // namespace

std::span<const Program> transfer_programs() { return kPrograms; }

}  // namespace backplane::bench
