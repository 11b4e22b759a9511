#include "train/live.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "engine/error.h"
#include "train/text/text.h"

namespace ef {
namespace {

int terminal_width(int file) {
  winsize size{};
  return ioctl(file, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

double seconds_between(std::chrono::steady_clock::time_point a, std::chrono::steady_clock::time_point b) {
  return std::chrono::duration<double>(b - a).count();
}

}  // namespace

std::string loss_text(double loss, double floor, bool smoothed) {
  if (smoothed) return format("smoothed loss %.4f", loss);
  if (std::isfinite(floor)) return format("loss %.4f  floor %.4f  excess %.4f", loss, floor, loss - floor);
  return format("loss %.4f  ppl %.2f", loss, std::exp(loss));
}

bool rewrites_lines(int file) {
  const char* kind = std::getenv("TERM");
  return isatty(file) != 0 && !(kind && std::string(kind) == "dumb");
}

Live::Live(const std::string& log_path, double peak)
    : log_(std::fopen(log_path.c_str(), "a")), peak_(peak), terminal_(rewrites_lines(STDOUT_FILENO)) {
  if (!log_) fail("cannot write " + log_path);
  start_ = shown_ = rate_from_ = Clock::now();
}

Live::~Live() {
  if (standing_) std::fputc('\n', stdout);
  std::fclose(log_);
}

void Live::update(const Progress& progress) {
  const auto now = Clock::now();
  if (first_.steps == 0) first_ = rate_ = progress;  // speeds are counted from the first update on
  last_ = progress;
  loss_sum_ += progress.loss;
  floor_sum_ += progress.floor;
  ++averaged_;
  if (seconds_between(shown_, now) < (terminal_ ? 0.1 : 10.0)) return;
  shown_ = now;
  if (terminal_) {
    std::printf("\r%.*s\033[K", terminal_width(STDOUT_FILENO) - 1,
                line().c_str());  // a line that wraps cannot be rewritten
    std::fflush(stdout);
    standing_ = true;
  } else {
    print(line());
  }
  if (!terminal_ || seconds_between(rate_from_, now) > 2) {  // forget, so that the line shows what is now
    rate_from_ = now;
    rate_ = progress;
    loss_sum_ = floor_sum_ = 0;
    averaged_ = 0;
  }
}

// What matters most comes first: a narrow terminal cuts the end off.
std::string Live::line() const {
  const double seconds = seconds_between(rate_from_, Clock::now());
  const double since_start = seconds_between(start_, Clock::now());
  const auto n = static_cast<double>(averaged_);
  const double loss = loss_sum_ / n, floor = floor_sum_ / n;
  std::string text = format("step %6td/%td", last_.done, last_.steps);
  if (last_.done > first_.done) {
    const double per_step = since_start / static_cast<double>(last_.done - first_.done);
    text += "  " + clock_time(per_step * static_cast<double>(last_.steps - last_.done)) + " left";
  }
  text += "  " + loss_text(loss, floor, last_.smoothed) + note_;
  if (last_.tokens > rate_.tokens && seconds > 0) {
    text += format("  %s tok/s", short_number((last_.tokens - rate_.tokens) / seconds).c_str());
    if (peak_ > 0) text += format("  %.0f%% of peak", 100 * (last_.flops - rate_.flops) / seconds / peak_);
  }
  return text + format("  lr %.1e", last_.learning_rate);
}

void Live::print(const std::string& given) {
  const std::string text = printable(given);  // names and samples come from texts of strangers
  std::printf("%s%s\n", standing_ ? "\r\033[K" : "", text.c_str());
  std::fflush(stdout);
  standing_ = false;
  log(text);
}

void Live::log(const std::string& text) {
  std::fprintf(log_, "%s\n", text.c_str());
  std::fflush(log_);
}

ProgressBar::ProgressBar(double total) : total_(total), terminal_(rewrites_lines(STDERR_FILENO)) {
  start_ = shown_ = Clock::now();
}

ProgressBar::~ProgressBar() {
  if (terminal_) std::fputs("\r\033[K", stderr);
}

void ProgressBar::add(double work, const std::string& what) {
  done_ += work;
  const auto now = Clock::now();
  if (!terminal_ || seconds_between(shown_, now) < 0.1) return;
  shown_ = now;
  const double share = std::clamp(done_ / total_, 0.0, 1.0);
  constexpr int cells = 30;
  const auto filled = static_cast<std::size_t>(std::lround(share * cells));
  std::string text = std::string(filled, '#') + std::string(cells - filled, '.');
  text += format(" %3.0f%%", 100 * share);
  if (share > 0)
    text += format("  %s left", clock_time(seconds_between(start_, now) * (1 - share) / share).c_str());
  text.append("  ").append(what);
  std::fprintf(stderr, "\r%.*s\033[K", terminal_width(STDERR_FILENO) - 1, text.c_str());
}

std::string clock_time(double seconds) {
  const long s = std::lround(seconds);
  if (s >= 3600) return format("%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
  return format("%ld:%02ld", s / 60, s % 60);
}

}  // namespace ef
