// Quantities by their full names: those of the loop, declared here, and PROBE.KEY of what probes declare
// (models/quantity.h).
#pragma once
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "models/probes/probes.h"
#include "models/quantity.h"

namespace ef {

// What the loop measures, and what results make of it: "valid.loss", "train.gradient_norm". Keys are full
// names.
const std::vector<Quantity>& loop_quantities();
// Those of them that results hold, and that a plan may measure (train/experiment/result.h).
const std::vector<std::string>& loop_measures();

// What a full name means: a quantity of the loop, PROBE.KEY, or what results make of a probe's quantity,
// PROBE.KEY.min, .max, .best, .se. Of a name that nobody declares, itself is the title.
Quantity named(const std::string& name);

// How the array PROBE.KEY is drawn. Of one that nobody declares, its name is the title.
Picture picture_named(const std::string& name);
// Whether what is read under a full name is read from text, window by window: then it says something of
// those.
bool is_read_from_text(const std::string& name);

// "Attention entropy" -> "attention entropy". A sign, as the W of a title, stays.
std::string within_sentence(std::string title);

// All that may follow PROBE in the name of a measure: its keys, each also with .min, .max, .best, .se. Empty
// if it declares no keys: then it may be anything.
std::vector<std::string> measures_of(const Probe& probe);

// Of several (probe, key), in the order in which they are to be shown: details last, then by Quantity::order,
// then by probe, and in the order in which it declares them.
struct ProbeQuantity {
  std::string probe;
  Quantity quantity;
};
std::vector<ProbeQuantity> in_order(const std::set<std::pair<std::string, std::string>>& read);

}  // namespace ef
