// SPDX-License-Identifier: Apache-2.0
// Peers made ready for one case: each by its own choice and, where it has settings, by the best of them. A peer whose
// result is not ours within rounding is not timed.
#pragma once

#include <string>
#include <vector>

#include "peers/peer.h"

namespace backplane::bench {

struct Contender {
  std::string name;                ///< "CLBlast", "CLBlast tuned"
  std::unique_ptr<PeerCall> call;  ///< null where `reason` says why there is none
  std::string reason;
  double error = 0;                ///< largest difference from our result, relative to its largest value
};

/// Some peers round operands to f16.
inline constexpr double kPeerAllowed = 0.02;

/// Names of rows that these peers give, before anything is prepared.
std::vector<std::string> contender_names(const Peers& peers);
/// The arguments of `backplane bench peers` that bring them, each with a space before it.
std::string options_for(const Peers& peers);
/// `right`: output 0 of ours, f32.
std::vector<Contender> prepare_contenders(const Peers& peers, const Case& c, const Values& values,
                                          const std::vector<std::byte>& right);

}  // namespace backplane::bench
