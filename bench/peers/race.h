// SPDX-License-Identifier: Apache-2.0
// Peers made ready for one case: each by its own choice and, where it has settings, by the best of those that were tried
// (build_peers.h). A peer whose result is not ours within rounding is not timed.
#pragma once

#include <string>
#include <vector>

#include "peers/peer.h"
#include "peers/tried_settings.h"

namespace backplane::bench {

struct Contender {
  std::string name;                ///< "CLBlast", "CLBlast tuned"
  std::unique_ptr<PeerCall> call;  ///< null where `reason` says why there is none
  std::string reason;
  bool left_out = false;           ///< there was no time for it; the library may well do this
  double build_ns = 0;             ///< until the first result was there
  double error = 0;                ///< largest difference from our result, relative to its largest value
};

/// Some peers round operands to f16.
inline constexpr double kPeerAllowed = 0.02;

/// Names of rows that these peers give, before anything is prepared.
std::vector<std::string> contender_names(const Peers& peers);
/// The arguments of `backplane bench peers` that bring them, each with a space before it.
std::string options_for(const Peers& peers);
inline constexpr const char* kOwnChoice = "default";  ///< the setting that a library has by itself

/// A case as a peer gets it.
struct Problem {
  const Case& c;
  const Values& values;
  const std::vector<std::byte>& right;  ///< output 0 of ours, f32
  std::string device, work;             ///< as in TriedSettings
};
/// The device with its driver, as in TriedSettings.
std::string peer_device(const host::Device& device);
TriedSettings::Result try_setting(Peer& peer, const std::string& setting, const Problem& problem);
std::vector<Contender> prepare_contenders(const Peers& peers, const Problem& problem, const TriedSettings& tried);

}  // namespace backplane::bench
