#include "models/probes/alarms.h"

#include <cmath>
#include <cstdio>

namespace ef {
namespace {

struct Rule {
  const char *alarm, *probe, *key;
  double on, off;  // on < off: rings below; on > off: rings above
};
constexpr Rule rules[] = {
    {"rank collapse", "resid.rank", "frobenius", 0.1, 0.15},
    {"entropy collapse", "attn.entropy", "normalised", 0.05, 0.1},
    {"runaway spectrum", "attn.logits", "largest_centred", 87, 60},
};
constexpr std::size_t plateau_validations = 5;
constexpr double plateau_on = 0.005, plateau_off = 0.01, plateau_excess = 0.05;

}  // namespace

std::vector<AlarmEvent> Alarms::change(const std::string& alarm, Index layer, bool crossed, bool left,
                                       double value, double on, double off) {
  bool& ringing = ringing_[{alarm, layer}];
  if (ringing ? !left : !crossed) return {};
  ringing = !ringing;
  return {{alarm, layer, ringing, value, ringing ? on : off}};
}

std::vector<AlarmEvent> Alarms::feed(const std::string& probe, const std::string& key, Index layer,
                                     double value) {
  for (const Rule& rule : rules) {
    if (probe != rule.probe || key != rule.key || std::isnan(value)) continue;
    const bool below = rule.on < rule.off;
    return change(rule.alarm, layer, below ? value < rule.on : value > rule.on,
                  below ? value > rule.off : value < rule.off, value, rule.on, rule.off);
  }
  return {};
}

std::vector<AlarmEvent> Alarms::feed_validation(double loss, double floor) {
  losses_.push_back(loss);
  if (losses_.size() < plateau_validations) return {};
  const double before = losses_[losses_.size() - plateau_validations];
  const double gain = (before - loss) / before;
  const bool near_floor = loss - floor <= plateau_excess * floor;  // false where the floor is not known
  return change("loss plateau", -1, gain < plateau_on && !near_floor, gain > plateau_off || near_floor, gain,
                plateau_on, plateau_off);
}

std::string Alarms::text(const AlarmEvent& e) {
  char numbers[96];
  const bool above = e.value > e.threshold;
  // A plateau is over as well where the floor has been reached.
  if (!e.on && e.alarm == "loss plateau" && !above)
    std::snprintf(numbers, sizeof numbers, "the floor is near");
  else
    std::snprintf(numbers, sizeof numbers, "%.3g is %s %.3g", e.value, above ? "above" : "below",
                  e.threshold);
  return (e.on ? "ALARM " : "over: ") + e.alarm +
         (e.layer >= 0 ? " in layer " + std::to_string(e.layer) : "") + ": " + numbers;
}

}  // namespace ef
