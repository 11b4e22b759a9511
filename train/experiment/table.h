// What a person sees while a sweep runs.
#pragma once
#include <chrono>
#include <string>
#include <vector>

#include "train/experiment/job.h"

namespace ef {

// A table of all runs that is drawn over itself in a terminal; elsewhere a line when a run ends.
class SweepTable {
 public:
  // The jobs in the order of a sweep: plans, their seeds, their arms. They must outlive the table.
  explicit SweepTable(const std::vector<Job>& jobs);
  ~SweepTable();
  SweepTable(const SweepTable&) = delete;
  SweepTable& operator=(const SweepTable&) = delete;

  // A line that stays, above the table.
  void print(const std::string& line);
  // Draws the table and the line below, up to twice a second.
  void update(const std::string& last_line);

 private:
  void erase();
  void draw(const std::string& last_line);

  const std::vector<Job>& jobs_;
  bool terminal_;
  int lines_ = 0;  // that stand there
  std::chrono::steady_clock::time_point drawn_{};
};

}  // namespace ef
