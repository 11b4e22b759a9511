#include "models/probes/alarms.h"

#include <cmath>
#include <cstdio>

#include "models/probes/probes.h"

namespace ef {
namespace {

// Of validations, not of a single value: no quantity's own.
constexpr const char* plateau = "loss plateau";
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
  const std::optional<Quantity::Alarm> rule = quantity_of(probe, key).alarm;
  if (!rule || std::isnan(value)) return {};
  return change(rule->name, layer, rule->below() ? value < rule->on : value > rule->on,
                rule->below() ? value > rule->off : value < rule->off, value, rule->on, rule->off);
}

std::vector<AlarmEvent> Alarms::feed_validation(double loss, double floor) {
  losses_.push_back(loss);
  if (losses_.size() < plateau_validations) return {};
  const double before = losses_[losses_.size() - plateau_validations];
  const double gain = (before - loss) / before;
  const bool near_floor = loss - floor <= plateau_excess * floor;  // false where the floor is not known
  return change(plateau, -1, gain < plateau_on && !near_floor, gain > plateau_off || near_floor, gain,
                plateau_on, plateau_off);
}

std::string Alarms::text(const AlarmEvent& e) {
  char numbers[96];
  const bool above = e.value > e.threshold;
  // A plateau is over as well where the floor has been reached.
  if (!e.on && e.alarm == plateau && !above)
    std::snprintf(numbers, sizeof numbers, "the floor is near");
  else
    std::snprintf(numbers, sizeof numbers, "%.3g is %s %.3g", e.value, above ? "above" : "below",
                  e.threshold);
  return (e.on ? "ALARM " : "over: ") + e.alarm +
         (e.layer >= 0 ? " in layer " + std::to_string(e.layer) : "") + ": " + numbers;
}

std::string Alarms::why(const std::string& alarm) {
  if (alarm == plateau)
    return "over five validations the loss fell by less than 0.5 %, while it is more than 5 % above the "
           "floor "
           "where that is known (numbers are ours)";
  for (const Probe& probe : all_probes())
    for (const Quantity& quantity : probe.quantities)
      if (quantity.alarm && quantity.alarm->name == alarm) return quantity.alarm->why;
  return "";
}

}  // namespace ef
