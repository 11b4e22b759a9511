#include "train/experiment/table.h"
#include "train/live.h"
#include "train/text/text.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace ef {

namespace {

std::string cell_of(const Job& job) {
  char text[64];
  switch (job.state) {
    case Job::State::waiting:
      return "waiting";
    case Job::State::elsewhere:
      return "elsewhere";
    case Job::State::training:
      std::snprintf(text, sizeof text, "%td/%td %s", job.done, job.plan->updates,
                    figure_text(job.loss).c_str());
      return text;
    case Job::State::evaluating:
      return "evaluating";
    case Job::State::failed:
      return "failed";
    case Job::State::left_out:
      return "left out";
    case Job::State::finished:
      return "= " + figure_text(job.figure);
  }
  return "";
}

}  // namespace

SweepTable::SweepTable(const std::vector<Job>& jobs)
    : jobs_(jobs), terminal_(rewrites_lines(STDOUT_FILENO)) {}
SweepTable::~SweepTable() {
  if (terminal_) draw("");
}

void SweepTable::print(const std::string& line) {
  erase();
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

void SweepTable::update(const std::string& last_line) {
  using namespace std::chrono;
  if (!terminal_ || steady_clock::now() - drawn_ < milliseconds(500)) return;
  drawn_ = steady_clock::now();
  draw(last_line);
}

void SweepTable::erase() {
  if (lines_ > 0) std::printf("\033[%dA\033[J", lines_);
  lines_ = 0;
}

void SweepTable::draw(const std::string& last_line) {
  winsize size{};
  const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0;
  const std::size_t height = known ? size.ws_row : 24, width = known ? size.ws_col : 80;
  // A heading for each plan, with its seeds; then a row an arm.
  const auto padded = [](std::string text, std::size_t to) {
    text.resize(std::max(to, text.size() + 1), ' ');
    return text;
  };
  std::vector<std::string> rows;
  std::size_t first_busy = 0;
  for (std::size_t i = 0; i < jobs_.size(); ++i) {
    const Plan& plan = *jobs_[i].plan;
    if (jobs_[i].seed != plan.seeds.front()) continue;
    if (jobs_[i].arm == &plan.arms.front()) {
      std::string heading = padded(plan.name, 32);
      for (const std::uint64_t seed : plan.seeds) heading += padded("seed " + std::to_string(seed), 18);
      rows.push_back(heading.substr(0, width - 1));
    }
    std::string row = padded("  " + jobs_[i].arm->name, 32);
    bool busy = false;
    for (std::size_t s = 0; s < plan.seeds.size(); ++s) {
      const Job& job = jobs_[i + s * plan.arms.size()];
      row += padded(cell_of(job), 18);
      busy = busy || job.running();
    }
    if (busy && first_busy == 0) first_busy = rows.size() - 1;
    rows.push_back(row.substr(0, width - 1));
  }
  const std::size_t room = height > 4 ? height - 3 : 1;
  const std::size_t begin = rows.size() <= room ? 0 : std::min(first_busy, rows.size() - room);
  const std::size_t end = std::min(rows.size(), begin + room);
  erase();
  for (std::size_t i = begin; i < end; ++i) std::printf("%s\n", rows[i].c_str());
  lines_ = static_cast<int>(end - begin);
  if (rows.size() > end - begin) {
    std::printf("(%zu of %zu lines)\n", end - begin, rows.size());
    ++lines_;
  }
  if (!last_line.empty()) {
    std::printf("%s\n", last_line.substr(0, width - 1).c_str());
    ++lines_;
  }
  std::fflush(stdout);
}

}  // namespace ef
