// SPDX-License-Identifier: Apache-2.0
// Which of a peer's settings were tried with which problem, and how fast they were. Building a library's kernels may
// take a minute for each, so this is kept in Backplane's cache from one run to the next; without a cache it is forgotten.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <tuple>
#include <vector>

namespace backplane::bench {

class TriedSettings {
 public:
  struct Result {
    double ns = 0;            ///< of a call; 0: it cannot be used
    std::string reason = {};  ///< why not
    double build_ns = 0;      ///< of building and the first call, where that was in this run
    bool left_out = false;    ///< for want of time
  };
  /// In Backplane's cache; empty when there is none.
  static std::filesystem::path cache_file();
  /// What `file` holds; empty: nothing is kept.
  explicit TriedSettings(std::filesystem::path file = {});

  /// Null: never tried. `device` says with which driver, too; `work` is Job::key().
  const Result* find(const std::string& device, const std::string& peer, const std::string& work,
                     const std::string& setting) const;
  /// Kept for later runs, too, unless it was left out.
  void add(const std::string& device, const std::string& peer, const std::string& work, const std::string& setting,
           const Result& result);
  /// Settings that can be used, the fastest first.
  std::vector<std::string> fastest(const std::string& device, const std::string& peer, const std::string& work) const;

 private:
  using Problem = std::tuple<std::string, std::string, std::string>;
  std::filesystem::path file_;
  std::map<Problem, std::map<std::string, Result>> results_;
};

}  // namespace backplane::bench
