// Learning rates over time. All schedules warm up linearly first; what comes after has siblings
// (engine/schedule.cpp).
#pragma once
#include <memory>
#include <string>

#include "engine/option.h"
#include "engine/registry.h"

namespace ef {

struct ScheduleConfig {
  std::string name = "cosine";
  double peak = 1e-3;       // learning rate at the end of the warm-up
  double warmup_start = 0;  // the learning rate of update 0 when there is a warm-up
  Index warmup = 0;         // updates
  Index total = 1000;       // updates
};

struct Schedule {
  virtual ~Schedule() = default;
  static constexpr const char* kind = "learning-rate schedule";
  using Factory = std::function<std::unique_ptr<Schedule>(const OptionValues&)>;

  // The learning rate of the update that follows `done` updates, in the warm-up:
  //   start + (peak - start) done / warmup    for done < warmup
  double rate(const ScheduleConfig& times, Index done) const;
  // The same after it.
  virtual double after_warmup(const ScheduleConfig& times, Index done) const = 0;
};

}  // namespace ef
