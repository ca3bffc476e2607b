// SPDX-License-Identifier: Apache-2.0
// One case on one device: all wanted variants are checked and raced by the tuner, then those that have a chance are
// measured, interleaved: the device's default, what the tuner chose, and the others in groups with the default. Every
// time is of samples of this race; the tuner's own figures only say what belongs together.
//
// No row without a check in the same run. Compilation and first launches are outside of every time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "case.h"
#include "job.h"
#include "kernels.h"
#include "peers/race.h"

namespace backplane::bench {

/// --variants: "default,tuned", "all", "tiled@*".
struct Wanted {
  bool usual = false, tuned = false;
  std::vector<std::string> globs;  ///< "*" for all
  /// Throws Error.
  static Wanted parse(const std::string& text);
  bool wants(const std::string& variant) const;
};

class KernelJob : public Job {
 public:
  /// `peers` run beside ours, in the same race, and give a row each.
  KernelJob(host::DevicePtr device, const Case& c, const std::string& suite, const Wanted& wanted, Peers peers = {});
  void run(const Allowance& allowance) override;

  /// Those with settings; their kernels are built before anything is timed (peers/build_peers.h).
  Peers peers_to_build() const;
  struct PeerOperands {
    Values inputs;
    std::vector<std::byte> right;  ///< what our default makes of them
  };
  PeerOperands peer_operands() const;
  Problem problem_of(const PeerOperands& operands) const;

 private:
  void add_row(report::Choice choice, const std::string& variant);
  void refuse(const std::string& reason);
  autotune::Outcome tune(const Values& inputs, const Allowance& allowance) const;
  void apply(const autotune::Outcome& outcome);
  /// Who is measured together: default and choice with the fastest others, then the default with the next ones. Rows
  /// for which there is no time are skipped, with the reason.
  std::vector<std::vector<std::string>> groups(const autotune::Outcome& outcome, const Allowance& allowance);
  void race(const autotune::Outcome& outcome, const Values& inputs, const Allowance& allowance);
  void race_group(std::vector<std::string> names, const std::shared_ptr<Operands>& operands,
                  const std::vector<Contender>& contenders, const Allowance& allowance);
  static void fill_peer(report::Row& row, const std::vector<Contender>& contenders);

  Case case_;
  Wanted wanted_;
  Peers peers_;
  report::Row base_;
  host::KernelOp op_;
  std::string usual_;  ///< the default variant's name
};

}  // namespace backplane::bench
