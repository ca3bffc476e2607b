// SPDX-License-Identifier: Apache-2.0
#include "rig.h"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace backplane::autotune {
namespace {

constexpr uint64_t kGuard = 4096;
constexpr uint8_t kGuardByte = 0xA5;

double host_ns() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<double>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

}  // namespace

Fault fault_of(const host::Error& error) {
  const bool lost = error.code() == BP_E_DEVICE_LOST || error.scope() >= BP_SCOPE_DEVICE;
  return {lost ? Verdict::device_lost : Verdict::failed, error.what()};
}

bp_view Rig::Guarded::view(uint64_t offset) const { return {buffer.get(), kGuard + offset}; }

Rig::Rig(const host::DevicePtr& device, const Problem& problem, uint64_t hang_ns)
    : device_(device), hang_ns_(hang_ns), queue_(device->create_queue()), event_(device->create_event()) {
  if (const bp_timing_api* timing = device->timing()) {
    bp_error error = host::make_error();
    clock_.size = sizeof clock_;
    check(timing->info(device->handle(), &clock_, &error), error, "timing info");
    bp_timer* timer = nullptr;
    check(timing->create(device->handle(), 2, &timer, &error), error, "create timer");
    timer_ = host::Timer(timer, timing->destroy, device);
    resolution_ns_ = std::max(clock_.resolution_ns, clock_.ns_per_tick);
  }
  for (const Memory& memory : problem.inputs()) {
    inputs_.push_back(allocate(memory.bytes.size()));
    input_views_.push_back(inputs_.back().view(memory.origin));
  }
  for (uint32_t j = 0; j < problem.op().num_outputs; ++j) {
    const Memory memory(problem.op().outputs[j]);
    outputs_.push_back(allocate(memory.bytes.size()));
    output_views_.push_back(outputs_.back().view(memory.origin));
  }
  workspace_ = allocate(0);
}

Rig::~Rig() {
  if (!hung_) return;
  keep_for_ever(std::move(queue_));
  keep_for_ever(std::move(event_));
  keep_for_ever(std::move(timer_));
  keep_for_ever(std::move(workspace_));
  keep_for_ever(std::move(inputs_));
  keep_for_ever(std::move(outputs_));
}

Rig::Guarded Rig::allocate(uint64_t bytes) {
  try {
    return {device_->alloc(bytes + 2 * kGuard), bytes};
  } catch (const host::Error& error) {
    throw fault_of(error);
  }
}

void Rig::check(bp_status status, const bp_error& error, const char* what) const {
  if (status >= 0) return;
  const bool lost = status == BP_E_DEVICE_LOST || error.scope >= BP_SCOPE_DEVICE;
  const std::string text = error.message[0] != '\0' ? error.message : host::status_text(status);
  throw Fault{lost ? Verdict::device_lost : Verdict::failed, std::string(what) + ": " + text};
}

void Rig::need_workspace(uint64_t bytes) {
  if (bytes != workspace_.bytes) workspace_ = allocate(bytes);
}

void Rig::fill(bp_view target, uint8_t value, uint64_t bytes) {
  if (bytes == 0) return;
  bp_error error = host::make_error();
  check(device_->queues().fill(queue_.get(), target, &value, 1, bytes, &error), error, "fill");
}

void Rig::reset(const Problem& problem, uint8_t poison) {
  poison_ = poison;
  const auto guards = [&](const Guarded& g) {
    fill({g.buffer.get(), 0}, kGuardByte, kGuard);
    fill(g.view(g.bytes), kGuardByte, kGuard);
  };
  for (size_t i = 0; i < inputs_.size() && !trusted_; ++i) {
    guards(inputs_[i]);
    if (inputs_[i].bytes == 0) continue;
    bp_error error = host::make_error();
    check(device_->queues().upload(queue_.get(), inputs_[i].view(0), problem.inputs()[i].bytes.data(), inputs_[i].bytes,
                                   0, &error),
          error, "upload");
  }
  for (const Guarded& g : outputs_) {
    if (!trusted_) guards(g);
    fill(g.view(0), poison, g.bytes);
  }
  trusted_ = true;
  guards(workspace_);
  fill(workspace_.view(0), poison, workspace_.bytes);
  wait();
}

void Rig::enqueue(const host::Kernel& kernel) {
  bp_error error = host::make_error();
  check(device_->kernels().enqueue(queue_.get(), kernel.handle.get(), input_views_.data(), output_views_.data(),
                                   workspace_.view(0), &error),
        error, "launch");
}

void Rig::wait() {
  bp_error error = host::make_error();
  check(device_->queues().event_record(queue_.get(), event_.get(), &error), error, "record");
  bp_status status = device_->queues().flush(queue_.get(), &error);
  check(status, error, "flush");
  status = device_->queues().event_sync(event_.get(), hang_ns_, &error);
  if (status == BP_NOT_READY) {
    hung_ = true;
    throw Fault{Verdict::hung, "did not end within " + std::to_string(hang_ns_ / 1'000'000) + " ms"};
  }
  // The failure of queued work is the queue's until finish has told it.
  const bp_status finished = device_->queues().finish(queue_.get(), &error);
  check(finished < 0 ? finished : status, error, "launch");
}

const std::byte* Rig::look_at(const Guarded& guarded, std::vector<std::byte>& copy) {
  bp_error error = host::make_error();
  void* here = nullptr;
  if (device_->has(BP_DEVICE_HOST_POINTERS) && device_->memory().host_pointer(guarded.buffer.get(), &here, &error) >= 0)
    return static_cast<const std::byte*>(here);
  copy.resize(guarded.bytes + 2 * kGuard);
  check(device_->queues().download(queue_.get(), copy.data(), {guarded.buffer.get(), 0}, copy.size(), &error), error,
        "download");
  wait();
  return copy.data();
}

void Rig::check_guards(const std::byte* all, const Guarded& guarded, const std::string& what) const {
  const auto is_guard = [](std::byte b) { return b == std::byte{kGuardByte}; };
  if (!std::all_of(all, all + kGuard, is_guard)) throw Fault{Verdict::overrun, "wrote before " + what};
  all += kGuard + guarded.bytes;
  if (!std::all_of(all, all + kGuard, is_guard)) throw Fault{Verdict::overrun, "wrote beyond " + what};
}

void Rig::check_surroundings(const Problem& problem) {
  std::vector<std::byte> copy;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const std::byte* all = look_at(inputs_[i], copy);
    const std::string what = "input " + std::to_string(i);
    check_guards(all, inputs_[i], what);
    const std::vector<std::byte>& before = problem.inputs()[i].bytes;
    if (!before.empty() && std::memcmp(before.data(), all + kGuard, before.size()) != 0)
      throw Fault{Verdict::changed_inputs, "changed " + what};
  }
  check_guards(look_at(workspace_, copy), workspace_, "the workspace");
}

std::vector<Memory> Rig::outputs(const Problem& problem) {
  std::vector<Memory> results;
  std::vector<std::byte> copy;
  for (size_t j = 0; j < outputs_.size(); ++j) {
    const std::byte* all = look_at(outputs_[j], copy);
    const std::string what = "output " + std::to_string(j);
    check_guards(all, outputs_[j], what);
    Memory& memory = results.emplace_back(problem.op().outputs[j]);
    std::copy(all + kGuard, all + kGuard + outputs_[j].bytes, memory.bytes.begin());
    // Between the elements of a strided output everything stays as it was.
    const auto count = static_cast<size_t>(memory.elements());
    const size_t size = count == 0 ? 1 : memory.size_of_element();
    if (memory.bytes.size() == count * size) continue;
    std::vector<bool> covered(memory.bytes.size() / size);
    each_element(memory.desc, [&](int64_t at) {
      covered[static_cast<size_t>(static_cast<int64_t>(memory.origin / size) + at)] = true;
    });
    for (size_t e = 0; e < covered.size(); ++e) {
      for (size_t b = 0; b < size && !covered[e]; ++b) {
        if (memory.bytes[e * size + b] != std::byte{poison_})
          throw Fault{Verdict::overrun, "wrote between the elements of " + what};
      }
    }
  }
  return results;
}

uint64_t Rig::ticks_between(uint64_t first, uint64_t second) const {
  const uint64_t mask =
      clock_.valid_bits == 0 || clock_.valid_bits >= 64 ? UINT64_MAX : (uint64_t{1} << clock_.valid_bits) - 1;
  return (second - first) & mask;
}

double Rig::time(const host::Kernel& kernel, uint32_t launches, uint32_t lead) {
  const bp_timing_api* timing = device_->timing();
  bp_error error = host::make_error();
  const auto stamp = [&](uint32_t index) {
    if (timing != nullptr) check(timing->stamp(queue_.get(), timer_.get(), index, &error), error, "time stamp");
  };
  for (uint32_t i = 0; i < lead; ++i) enqueue(kernel);
  if (timing == nullptr && lead > 0) wait();
  const double start = host_ns();
  stamp(0);
  for (uint32_t i = 0; i < launches; ++i) enqueue(kernel);
  stamp(1);
  wait();
  const double wall = host_ns() - start;
  if (timing == nullptr) return wall;
  uint64_t ticks[2] = {};
  const bp_status status = timing->read(timer_.get(), 0, 2, ticks, &error);
  check(status, error, "read time stamps");
  if (status == BP_NOT_READY) throw Fault{Verdict::failed, "time stamps were not written although the work is done"};
  return static_cast<double>(ticks_between(ticks[0], ticks[1])) * clock_.ns_per_tick;
}

uint64_t Rig::used_bytes() const {
  if (device_->memory().usage == nullptr) return 0;
  bp_memory_usage usage{};
  usage.size = sizeof usage;
  bp_error error = host::make_error();
  return device_->memory().usage(device_->handle(), &usage, &error) >= 0 ? usage.used : 0;
}

}  // namespace backplane::autotune
