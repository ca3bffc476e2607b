// SPDX-License-Identifier: Apache-2.0
// What a user would pick instead, run beside ours on the same problem. A peer is optional: without its library there
// are no rows of it. Those that CMake finds (oneDNN, CLBlast, OpenBLAS, Eigen) are in one module beside the program, so
// that the program itself needs none of them; others export the C interface of peer_library.h and are named by --peers.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "case.h"
#include "kernels.h"
#include "measure.h"

namespace backplane::bench {

/// One problem, ready to run.
class PeerCall {
 public:
  virtual ~PeerCall() = default;
  virtual void enqueue() = 0;
  virtual void finish() {}
  virtual std::vector<float> output() = 0;
  Contestant contestant() {
    return {[this] { enqueue(); }, [this] { finish(); }};
  }
};

class Peer {
 public:
  virtual ~Peer() = default;
  virtual std::string name() const = 0;
  /// The argument of `backplane bench peers` that brings it; empty for those that are always there.
  virtual std::string option() const { return ""; }
  /// False where it is known without operands that prepare() would give null.
  virtual bool does(const Case& /*c*/) const { return true; }
  /// Null when it does not do this. Operands are f32 and dense; `values` outlive the call.
  virtual std::unique_ptr<PeerCall> prepare(const Case& c, const Values& values) = 0;
  /// Ways to set it up, the library's own choice first. use() holds for calls made afterwards.
  virtual std::vector<std::string> settings() const { return {"default"}; }
  virtual void use(const std::string& /*setting*/) {}
};
using Peers = std::vector<std::shared_ptr<Peer>>;

/// c[m,n] = a[m,k] b[k,n], f32, dense: what most peers do.
struct Product {
  int64_t m, n, k;
  const float *a, *b;
  static bool is_one(const Case& c);
  /// Nothing when the case is something else.
  static std::optional<Product> of(const Case& c, const Values& values);
};

/// Those that share the device's driver or processor. `libraries`: paths of --peers. Throws Error for one of those that
/// cannot be used.
Peers peers_for(const host::DevicePtr& device, const std::vector<std::string>& libraries);

/// Another device's default variant. It does cases whose first output is f32.
std::shared_ptr<Peer> device_peer(host::DevicePtr device);

/// What the module exports under this name: adds its peers for a device, which use so many threads.
using MakePeers = void (*)(Peers* result, const host::DevicePtr* device, int threads);
inline constexpr const char* kMakePeers = "backplane_bench_make_peers";

}  // namespace backplane::bench
