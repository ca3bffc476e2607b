// SPDX-License-Identifier: Apache-2.0
// Before the first row: kernels of peers that have settings (CLBlast) are built, one setting with one problem at a time,
// and the settings are tried. First the library's own choice with every problem, then all settings with the first
// problem, then the best of those with the others.
//
// Building cannot be stopped from within, so this has a time of its own: what takes longer takes the process down
// (supervise.h), and the next one goes on without it. What was not built in time has no row's time, only that reason.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "job.h"
#include "peers/tried_settings.h"

namespace backplane::bench {

inline constexpr const char* kBuildPeers = "peers' kernels";  ///< Incident::work

struct PeerBuilds {
  TriedSettings& tried;
  std::function<double()> left_s;  ///< for all of it
  const std::vector<Incident>& incidents;
  std::function<void(const std::string&)> show;
  const std::atomic<bool>* cancelled = nullptr;
};

void build_peers(const std::vector<std::unique_ptr<Job>>& jobs, const PeerBuilds& how);

}  // namespace backplane::bench
