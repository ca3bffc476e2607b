// SPDX-License-Identifier: Apache-2.0
// How long work is shown: a bar that is redrawn on a terminal, a line now and then elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace backplane::cli {

/// What stays at the bottom of a terminal while lines go above it.
class StatusLine {
 public:
  explicit StatusLine(std::FILE* out);
  ~StatusLine() { clear(); }
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;
  /// Time to show something again.
  bool due() const;
  bool terminal() const { return terminal_; }
  /// Redrawn on a terminal, a line of its own elsewhere.
  void show(const std::string& text);
  void line(const std::string& text);
  /// Nothing is due for a while.
  void rest() { last_ = Clock::now(); }

 private:
  using Clock = std::chrono::steady_clock;
  void clear();
  std::FILE* out_;
  bool terminal_, drawn_ = false;
  Clock::time_point last_ = Clock::now();
};

/// "#####......"
std::string bar_text(double part);

class Progress {
 public:
  /// `images`: in the whole run.
  Progress(std::FILE* out, int64_t epochs, int64_t images_per_epoch);
  /// Time to show something again: reading a loss costs waiting for the device.
  bool due() const { return status_.due(); }
  /// `done` images of epoch `epoch` (from 1) are through.
  void show(int64_t epoch, int64_t done, double loss);
  void end_epoch(int64_t epoch, double mean_loss, double images_per_second, double seconds);
  void line(const std::string& text) { status_.line(text); }

 private:
  StatusLine status_;
  int64_t epochs_, images_per_epoch_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// "1:05", "2:03:09"
std::string clock_text(double seconds);

}  // namespace backplane::cli
