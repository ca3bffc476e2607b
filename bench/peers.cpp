// SPDX-License-Identifier: Apache-2.0
// Which peers there are: those that were linked, and those that --peers names.
#include <dlfcn.h>

#include <sstream>

#include "peer.h"
#include "peer_library.h"
#include "rows.h"

namespace backplane::bench {

#if !defined(BACKPLANE_BENCH_ONEDNN)
std::shared_ptr<Peer> make_onednn() { return nullptr; }
#endif
#if !defined(BACKPLANE_BENCH_CLBLAST)
std::shared_ptr<Peer> make_clblast(const host::DevicePtr&) { return nullptr; }
#endif

namespace {

class LoadedCall : public PeerCall {
 public:
  LoadedCall(const backplane_bench_peer& peer, void* call, size_t results)
      : peer_(peer), call_(call), results_(results) {}
  ~LoadedCall() override { peer_.destroy(call_); }
  void enqueue() override { peer_.enqueue(call_); }
  void finish() override { peer_.finish(call_); }
  std::vector<float> output() override {
    std::vector<float> c(results_);
    peer_.read(call_, c.data());
    return c;
  }

 private:
  const backplane_bench_peer& peer_;
  void* call_;
  size_t results_;
};

class LoadedPeer : public Peer {
 public:
  explicit LoadedPeer(const backplane_bench_peer& peer) : peer_(peer) {}
  std::string name() const override { return peer_.name; }
  std::unique_ptr<PeerCall> matmul(int64_t m, int64_t n, int64_t k, const float* a, const float* b) override {
    void* call = peer_.matmul(m, n, k, a, b);
    return call == nullptr ? nullptr : std::make_unique<LoadedCall>(peer_, call, static_cast<size_t>(m * n));
  }

 private:
  const backplane_bench_peer& peer_;
};

}  // namespace

std::vector<std::shared_ptr<Peer>> make_loaded_peers(const host::DevicePtr& device) {
  std::vector<std::shared_ptr<Peer>> peers;
  std::istringstream list(settings().peers);
  for (std::string path; std::getline(list, path, ':');) {
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);  // never closed: libraries with threads do not survive it
    if (library == nullptr) throw Error("[bench] --peers: " + std::string(dlerror()));
    const auto open = reinterpret_cast<backplane_bench_peer_v1_fn>(dlsym(library, "backplane_bench_peer_v1"));
    if (open == nullptr) throw Error("[bench] " + path + " does not export backplane_bench_peer_v1");
    const backplane_bench_peer* peer = open(0);
    if (peer == nullptr || peer->size != sizeof(*peer))
      throw Error("[bench] " + path + " found no device, or is of another version");
    if (peer->plugin != nullptr && device->plugin_name() != peer->plugin) continue;
    peers.push_back(std::make_shared<LoadedPeer>(*peer));
  }
  return peers;
}

std::vector<std::shared_ptr<Peer>> peers_for(const host::DevicePtr& device) {
  static const std::vector<std::shared_ptr<Peer>> loaded = make_loaded_peers(device);
  static const std::shared_ptr<Peer> onednn = make_onednn(), clblast = make_clblast(device);
  std::vector<std::shared_ptr<Peer>> peers;
  if (device->info().kind == BP_KIND_CPU || device->has(BP_DEVICE_SOFTWARE)) peers.push_back(onednn);
  peers.push_back(clblast);
  peers.insert(peers.end(), loaded.begin(), loaded.end());
  std::erase(peers, nullptr);
  return peers;
}

}  // namespace backplane::bench
