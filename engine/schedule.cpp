#include "engine/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ef {

double Schedule::rate(const ScheduleConfig& s, Index done) const {
  if (done >= s.warmup) return after_warmup(s, done);
  return s.warmup_start +
         (s.peak - s.warmup_start) * static_cast<double>(done) / static_cast<double>(s.warmup);
}

namespace {

const Option<double> floor_option("min-lr", 0, at_least(0), "learning rate at the end");
const Option<double> share_option("decay-share", 0.2, within(0, 1), "share of all updates that decay");

struct Constant : Schedule {
  explicit Constant(const OptionValues&) {}
  double after_warmup(const ScheduleConfig& s, Index) const override { return s.peak; }
};
const Registered<Schedule, Constant> constant("constant", "the same throughout");

// floor + (peak - floor) (1 + cos(pi p)) / 2, p = (done - warmup) / (total - warmup)
struct Cosine : Schedule {
  double floor;
  explicit Cosine(const OptionValues& options) : floor(floor_option(options)) {}
  double after_warmup(const ScheduleConfig& s, Index done) const override {
    const auto t = static_cast<double>(done), warmup = static_cast<double>(s.warmup);
    const double progress =
        std::min(1.0, (t - warmup) / std::max(1.0, static_cast<double>(s.total) - warmup));
    return floor + (s.peak - floor) * (1 + std::cos(std::numbers::pi * progress)) / 2;
  }
};
const Registered<Schedule, Cosine> cosine("cosine", "down to the end along a cosine", {floor_option});

// peak sqrt(warmup / done) (Vaswani et al. 2017, as fairseq)
struct InverseSqrt : Schedule {
  explicit InverseSqrt(const OptionValues&) {}
  double after_warmup(const ScheduleConfig& s, Index done) const override {
    return s.peak *
           std::sqrt(std::max(1.0, static_cast<double>(s.warmup)) / std::max(1.0, static_cast<double>(done)));
  }
};
const Registered<Schedule, InverseSqrt> inverse_sqrt("inverse-sqrt", "by one over the root of the updates");

// Warm-up, stable, decay (Hu et al. 2024): peak, and over the last share linearly to the floor.
struct WarmupStableDecay : Schedule {
  double floor, share;
  explicit WarmupStableDecay(const OptionValues& options)
      : floor(floor_option(options)), share(share_option(options)) {}
  double after_warmup(const ScheduleConfig& s, Index done) const override {
    const auto total = static_cast<double>(s.total);
    const double decay = share * total;
    const double left = decay > 0 ? std::clamp((total - static_cast<double>(done)) / decay, 0.0, 1.0) : 1.0;
    return floor + (s.peak - floor) * left;
  }
};
const Registered<Schedule, WarmupStableDecay> wsd("wsd", "stable, then linearly to the end",
                                                  {floor_option, share_option});

}  // namespace
}  // namespace ef
