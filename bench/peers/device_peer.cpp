// SPDX-License-Identifier: Apache-2.0
// Another device of Backplane as a peer: its default variant, in the same race. Answers what one device costs beside
// another on one machine.
#include <cstring>

#include "command_text.h"
#include "peers/peer.h"

namespace backplane::bench {

namespace {

class DeviceCall : public PeerCall {
 public:
  DeviceCall(const host::DevicePtr& device, host::KernelOp op, const Values& values)
      : operands_(std::make_shared<Operands>(device, std::move(op), values)), kernel_(operands_) {}
  void enqueue() override { kernel_.enqueue(); }
  void finish() override { kernel_.finish(); }
  std::vector<float> output() override {
    const Values outputs = operands_->outputs();
    std::vector<float> floats(outputs[0].size() / sizeof(float));
    std::memcpy(floats.data(), outputs[0].data(), floats.size() * sizeof(float));
    return floats;
  }

 private:
  std::shared_ptr<const Operands> operands_;
  Prepared kernel_;
};

class DevicePeer : public Peer {
 public:
  explicit DevicePeer(host::DevicePtr device) : device_(std::move(device)) {}
  std::string name() const override { return device_->name(); }
  std::string option() const override { return "--beside " + quoted(name()); }
  /// Throws what the device says when it does not do the operation.
  std::unique_ptr<PeerCall> prepare(const Case& c, const Values& values) override {
    host::KernelOp op = c.kernel_op();
    const bool comparable = op.with_op([](const bp_op& raw) { return raw.outputs[0].dtype == BP_F32; });
    return comparable ? std::make_unique<DeviceCall>(device_, std::move(op), values) : nullptr;
  }

 private:
  host::DevicePtr device_;
};

}  // namespace

std::shared_ptr<Peer> device_peer(host::DevicePtr device) { return std::make_shared<DevicePeer>(std::move(device)); }

}  // namespace backplane::bench
