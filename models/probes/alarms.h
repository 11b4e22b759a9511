// Alarms: has attention or the stream of tokens collapsed? Each says so once when a threshold is crossed and
// once when it is left again (at a second threshold, so that it does not flicker).
#pragma once
#include <map>
#include <string>
#include <vector>

#include "engine/real.h"

namespace ef {

// An alarm stands with the quantity that it watches (models/quantity.h, models/probes/*.cpp): rank collapse,
// entropy collapse, runaway spectrum. One watches validations, and stands here:
//
// loss plateau   validation loss over five validations   on below 0.5 % of improvement, off above 1 %, while
//                the loss is more than 5 % above the floor, where that is known (numbers are ours)
struct AlarmEvent {
  std::string alarm;
  Index layer = -1;  // -1: of the whole model
  bool on = false;   // crossed, or left
  double value = 0, threshold = 0;
};

// State is a function of the values fed, in order: a resumed run feeds what is in its metrics again.
class Alarms {
 public:
  // A probe's value for a layer (the mean over its heads, or the largest: Quantity::Joined). NaN is passed
  // over.
  std::vector<AlarmEvent> feed(const std::string& probe, const std::string& key, Index layer, double value);
  // A validation loss, and the floor (NaN if not known).
  std::vector<AlarmEvent> feed_validation(double loss, double floor);

  // "ALARM entropy collapse in layer 0: 0.031 is below 0.05"
  static std::string text(const AlarmEvent& event);
  // Why an alarm of that name rings where it does; "" if there is none.
  static std::string why(const std::string& alarm);

 private:
  std::vector<AlarmEvent> change(const std::string& alarm, Index layer, bool crossed, bool left, double value,
                                 double on, double off);
  std::map<std::pair<std::string, Index>, bool> ringing_;
  std::vector<double> losses_;
};

}  // namespace ef
