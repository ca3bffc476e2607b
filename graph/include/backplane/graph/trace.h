// SPDX-License-Identifier: Apache-2.0
// A trace of launches in Chrome's trace event format (chrome://tracing, Perfetto), for `--trace` and BACKPLANE_TRACE.
// While one is active every launch is waited for, so that its time is its own: totals are longer than without.
#pragma once

#include <chrono>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

namespace backplane::graph {

class Trace {
 public:
  explicit Trace(std::filesystem::path file);
  /// Writes the file (temporary, then renamed). Throws Error when it cannot be written; the destructor logs instead.
  void write();
  ~Trace();
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  /// The one that launches report to, or nullptr.
  static Trace* active();
  void activate();

  /// Measures from construction to destruction.
  class Span {
   public:
    Span(Trace& trace, std::string name, std::string track)
        : trace_(trace), name_(std::move(name)), track_(std::move(track)), begin_(std::chrono::steady_clock::now()) {}
    ~Span() { trace_.add(std::move(name_), std::move(track_), begin_, std::chrono::steady_clock::now()); }
    Span(const Span&) = delete;
    Span& operator=(const Span&) = delete;

   private:
    Trace& trace_;
    std::string name_, track_;
    std::chrono::steady_clock::time_point begin_;
  };

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Event {
    std::string name, track;
    double begin_us = 0, duration_us = 0;
  };
  void add(std::string name, std::string track, Time begin, Time end);

  std::filesystem::path file_;
  Time start_ = std::chrono::steady_clock::now();
  std::mutex mutex_;
  std::vector<Event> events_;
  bool written_ = false;
};

}  // namespace backplane::graph
