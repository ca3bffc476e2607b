// SPDX-License-Identifier: Apache-2.0
#include "peers/build_peers.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "kernel_job.h"
#include "peers/race.h"

namespace backplane::bench {

namespace {

constexpr size_t kKept = 4;  // settings that are tried again on later problems

class Builds {
 public:
  Builds(const std::vector<KernelJob*>& jobs, Peer& peer, const PeerBuilds& how)
      : jobs_(jobs), peer_(peer), how_(how), device_(peer_device(*jobs[0]->device())) {}

  void run() {
    for (KernelJob* job : jobs_) attempt(*job, kOwnChoice);
    for (const std::string& setting : peer_.settings()) attempt(*jobs_[0], setting);
    std::vector<std::string> best = how_.tried.fastest(device_, peer_.name(), jobs_[0]->key());
    best.resize(std::min(best.size(), kKept));
    for (KernelJob* job : jobs_) {
      for (const std::string& setting : best) attempt(*job, setting);
    }
  }

 private:
  void attempt(KernelJob& job, const std::string& setting) {
    constexpr const char* kNoTime =
        "no time was left to build its kernels; without --budget there is, and drivers keep them";
    if (how_.tried.find(device_, peer_.name(), job.key(), setting) != nullptr) return;
    const std::string what = fmt::format("{} {}, {}", peer_.name(), setting, job.key());
    const auto leave_out = [&](const std::string& why) {
      how_.tried.add(device_, peer_.name(), job.key(), setting, {.reason = why, .left_out = true});
    };
    for (const Incident& each : how_.incidents) {
      const bool same = each.device == job.device()->name() && each.work == kBuildPeers;
      if (same && (each.variant == what || each.variant.empty())) return leave_out("building its kernels: " + each.what.reason);
    }
    const double left_s = how_.left_s();
    if (left_s <= 0 || *how_.cancelled) return leave_out(kNoTime);
    how_.show(fmt::format("building {}", what));
    try {
      Attempt::shared().at(job.device()->name(), kBuildPeers);
      if (problem_of_ != &job) operands_ = job.peer_operands(), problem_of_ = &job;
      Attempt::shared().at_variant(what, left_s);
      how_.tried.add(device_, peer_.name(), job.key(), setting,
                     try_setting(peer_, setting, job.problem_of(*operands_)));
    } catch (const std::exception& error) {  // of ours: its rows will say so
      leave_out(error.what());
    }
  }

  const std::vector<KernelJob*>& jobs_;
  Peer& peer_;
  const PeerBuilds& how_;
  const std::string device_;
  KernelJob* problem_of_ = nullptr;
  std::optional<KernelJob::PeerOperands> operands_;
};

}  // namespace

void build_peers(const std::vector<std::unique_ptr<Job>>& jobs, const PeerBuilds& how) {
  // The same peer stands in all jobs of a device.
  std::vector<std::pair<std::shared_ptr<Peer>, std::vector<KernelJob*>>> by_peer;
  for (const auto& each : jobs) {
    auto* job = dynamic_cast<KernelJob*>(each.get());
    if (job == nullptr) continue;
    for (const std::shared_ptr<Peer>& peer : job->peers_to_build()) {
      auto at = std::ranges::find(by_peer, peer, [](const auto& pair) { return pair.first; });
      if (at == by_peer.end()) at = by_peer.insert(at, {peer, {}});
      at->second.push_back(job);
    }
  }
  for (const auto& [peer, its_jobs] : by_peer) Builds(its_jobs, *peer, how).run();
  Attempt::shared().at("", "");
}

}  // namespace backplane::bench
