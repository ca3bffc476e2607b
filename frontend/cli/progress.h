// SPDX-License-Identifier: Apache-2.0
// How a training run is shown: a bar that is redrawn on a terminal, a line now and then elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace backplane::cli {

class Progress {
 public:
  /// `images`: in the whole run.
  Progress(std::FILE* out, int64_t epochs, int64_t images_per_epoch);
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Time to show something again: reading a loss costs waiting for the device.
  bool due() const;
  /// `done` images of epoch `epoch` (from 1) are through.
  void show(int64_t epoch, int64_t done, double loss);
  void end_epoch(int64_t epoch, double mean_loss, double images_per_second, double seconds);
  void line(const std::string& text);

 private:
  using Clock = std::chrono::steady_clock;
  void clear();
  std::FILE* out_;
  bool terminal_;
  bool drawn_ = false;
  int64_t epochs_, images_per_epoch_;
  Clock::time_point start_ = Clock::now(), last_ = start_;
};

/// "1:05", "2:03:09"
std::string clock_text(double seconds);

}  // namespace backplane::cli
