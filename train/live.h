// What a person sees while a program runs: one line that is rewritten in a terminal, plain lines elsewhere.
#pragma once
#include <chrono>
#include <string>

#include "engine/real.h"

namespace ef {

// What one update did, for the line.
struct Progress {
  Index done = 0, steps = 0;
  double loss = 0, floor = 0;  // nats a token; floor NaN if not known
  double learning_rate = 0;
  double tokens = 0, flops = 0;  // since the program started
  bool smoothed = false;         // label smoothing is part of the loss
};

// "loss 1.4392  floor 0.2253  excess 1.2139", with "ppl 4.22" instead where the floor is NaN. With label
// smoothing "smoothed loss 1.4392" alone: it also says how far the guesses are from even ones, so that
// neither the text's floor nor a perplexity goes with it.
std::string loss_text(double loss, double floor, bool smoothed);

// Whether a line can be rewritten there: a terminal, and not one that says it is dumb (TERM). Pipes and files
// get plain lines. There are no colours anywhere, whatever NO_COLOR says.
bool rewrites_lines(int file);

class Live {
 public:
  // log_path: where plain lines go as well (appended). peak: the measured rate of square matmuls, all
  // workers, FLOP/s.
  Live(const std::string& log_path, double peak);
  ~Live();
  Live(const Live&) = delete;
  Live& operator=(const Live&) = delete;

  // After each update. Averages loss and floor since the last line; in a terminal rewrites its line up to ten
  // times a second, elsewhere prints a line every ten seconds at most.
  void update(const Progress& progress);

  // What stands at the end of each line from now on.
  void note(const std::string& text) { note_ = text; }

  // A line that stays: ends the live line, if one stands there.
  void print(const std::string& text);

 private:
  using Clock = std::chrono::steady_clock;
  std::string line() const;
  void log(const std::string& text);

  std::FILE* log_;
  double peak_;
  bool terminal_, standing_ = false;
  Clock::time_point start_, shown_, rate_from_;
  Progress first_, last_, rate_;
  std::string note_;
  double loss_sum_ = 0, floor_sum_ = 0;
  Index averaged_ = 0;
};

// A line that fills up while a long job runs. It shows only in a terminal, on stderr, and is gone at the end.
class ProgressBar {
 public:
  explicit ProgressBar(double total);  // in any unit of work
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // So much work more was done, on what.
  void add(double work, const std::string& what);

 private:
  using Clock = std::chrono::steady_clock;
  double total_, done_ = 0;
  bool terminal_;
  Clock::time_point start_, shown_;
};

// "1:23:45"
std::string clock_time(double seconds);

}  // namespace ef
