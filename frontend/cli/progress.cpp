// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string_view>

#include <fmt/format.h>

namespace backplane::cli {
namespace {

constexpr std::chrono::milliseconds kRedraw{100};
constexpr std::chrono::seconds kPlainLine{10};
constexpr size_t kBarWidth = 24;

bool is_terminal(std::FILE* out) {
  const char* term = std::getenv("TERM");
  return isatty(fileno(out)) != 0 && term != nullptr && std::string_view(term) != "dumb";
}

double seconds_between(std::chrono::steady_clock::time_point a, std::chrono::steady_clock::time_point b) {
  return std::chrono::duration<double>(b - a).count();
}

}  // namespace

std::string clock_text(double seconds) {
  const auto total = static_cast<int64_t>(std::llround(std::max(0.0, seconds)));
  if (total < 3600) return fmt::format("{}:{:02}", total / 60, total % 60);
  return fmt::format("{}:{:02}:{:02}", total / 3600, total / 60 % 60, total % 60);
}

StatusLine::StatusLine(std::FILE* out) : out_(out), terminal_(is_terminal(out)) {}

bool StatusLine::due() const { return Clock::now() - last_ >= (terminal_ ? Clock::duration(kRedraw) : kPlainLine); }

void StatusLine::show(const std::string& text) {
  rest();
  if (!terminal_) return line(text);
  std::fputs(("\r\033[K" + text).c_str(), out_);
  std::fflush(out_);
  drawn_ = true;
}

void StatusLine::line(const std::string& text) {
  clear();
  std::fputs((text + "\n").c_str(), out_);
  std::fflush(out_);
}

void StatusLine::clear() {
  if (drawn_) {
    std::fputs("\r\033[K", out_);
    std::fflush(out_);
  }
  drawn_ = false;
}

std::string bar_text(double part) {
  const auto filled = static_cast<size_t>(std::clamp(part, 0.0, 1.0) * kBarWidth);
  return std::string(filled, '#') + std::string(kBarWidth - filled, '.');
}

Progress::Progress(std::FILE* out, int64_t epochs, int64_t images_per_epoch)
    : status_(out), epochs_(epochs), images_per_epoch_(images_per_epoch) {}

void Progress::show(int64_t epoch, int64_t done, double loss) {
  const double elapsed = seconds_between(start_, std::chrono::steady_clock::now());
  const auto through = static_cast<double>((epoch - 1) * images_per_epoch_ + done);
  const double rate = through / std::max(elapsed, 1e-9);
  const double left = (static_cast<double>(epochs_ * images_per_epoch_) - through) / std::max(rate, 1e-9);
  const double part = static_cast<double>(done) / static_cast<double>(std::max<int64_t>(images_per_epoch_, 1));
  const std::string figures =
      fmt::format("{:3.0f} %  loss {:.4f}  {:.0f} images/s  ETA {}", part * 100, loss, rate, clock_text(left));
  status_.show(status_.terminal() ? fmt::format("epoch {}/{} [{}] {}", epoch, epochs_, bar_text(part), figures)
                                  : fmt::format("epoch {}/{}  {}", epoch, epochs_, figures));
}

void Progress::end_epoch(int64_t epoch, double mean_loss, double images_per_second, double seconds) {
  line(fmt::format("epoch {}/{}  loss {:.4f}  {:.0f} images/s  {:.1f} s", epoch, epochs_, mean_loss, images_per_second,
                   seconds));
  status_.rest();
}

}  // namespace backplane::cli
