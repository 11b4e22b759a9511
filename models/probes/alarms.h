// Alarms: has attention or the stream of tokens collapsed? Each says so once when a threshold is crossed and
// once when it is left again (at a second threshold, so that it does not flicker).
#pragma once
#include <map>
#include <string>
#include <vector>

#include "engine/real.h"

namespace ef {

// name              watches                                   on        off     why there
// rank collapse     resid.rank, frobenius, a layer            < 0.1     > 0.15  tokens share 99 % of their
//                                                                               squared norm (Dong et al.
//                                                                               2021; the number is ours)
// entropy collapse  attn.entropy, normalised, a layer's mean  < 0.05    > 0.1   attention is one-hot but for
//                                                                               5 % of the entropy it could
//                                                                               have (Zhai et al. 2023; the
//                                                                               number is ours)
// runaway spectrum  attn.logits, largest_centred, a layer     > 87      < 60    softmax sees differences
// only:
//                                                                               e^-87 of the row's mean is
//                                                                               where float32 ends, and a
//                                                                               token there gets nothing at
//                                                                               all, and no gradient
// loss plateau      validation loss over five validations     < 0.5 %   > 1 %   of improvement, while the
//                                                                               loss is more than 5 % above
//                                                                               the floor, where that is
//                                                                               known (numbers are ours)
struct AlarmEvent {
  std::string alarm;
  Index layer = -1;  // -1: of the whole model
  bool on = false;   // crossed, or left
  double value = 0, threshold = 0;
};

// State is a function of the values fed, in order: a resumed run feeds what is in its metrics again.
class Alarms {
 public:
  // A probe's value for a layer (the mean over its heads, or the largest: see is_largest()). NaN is passed
  // over.
  std::vector<AlarmEvent> feed(const std::string& probe, const std::string& key, Index layer, double value);
  // A validation loss, and the floor (NaN if not known).
  std::vector<AlarmEvent> feed_validation(double loss, double floor);

  // "ALARM entropy collapse in layer 0: 0.031 is below 0.05"
  static std::string text(const AlarmEvent& event);

 private:
  std::vector<AlarmEvent> change(const std::string& alarm, Index layer, bool crossed, bool left, double value,
                                 double on, double off);
  std::map<std::pair<std::string, Index>, bool> ringing_;
  std::vector<double> losses_;
};

}  // namespace ef
