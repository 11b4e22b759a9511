// How often the likeliest token is the right one: of tasks where something is right, what is learned of them.
#include "models/probes/shared.h"

namespace ef {
namespace {

using namespace probes;

void read(const TextObservation& o, Reading& r) {
  const Tensor logits = o.logits();
  if (o.targets.empty()) r.missing.insert("the targets of the window are not given");
  if (!logits || o.targets.empty()) return;
  const Index tokens = logits.shape[0], vocabulary = logits.shape[1];
  std::vector<float> by_place(o.model.config.context, static_cast<float>(undefined));
  double right = 0, scored = 0;
  for (Index t = 0; t < tokens; ++t) {
    if (o.targets[t] < 0) continue;
    const Real* row = logits.data + t * vocabulary;
    const bool is_right = std::max_element(row, row + vocabulary) - row == o.targets[t];
    by_place[t] = is_right ? 1 : 0;
    right += is_right;
    ++scored;
  }
  if (scored > 0) r.add(-1, -1, "share", right / scored);
  r.add_array("by_place", {std::ssize(by_place)}, by_place);
}

const RegisteredProbe accuracy(
    "pred.accuracy", "[], by_place [T]", "how often the likeliest token is the right one, also by place",
    read,
    {{.key = "share",
      .title = "Accuracy",
      .unit = "share",
      .meaning = "of scored targets that are the likeliest token",
      .row = "accuracy",
      .live = "right",
      .order = 5,
      .better = Quantity::Better::higher,
      .scale = Quantity::Scale::linear,
      .high = 1}},
    {{.key = "by_place",
      .title = "Accuracy by place",
      .unit = "share of windows",
      .axis = "place in the window",
      .low = 0,
      .high = 1,
      .note =
          "0 is the beginning of a window, 1 its end. Places that are not scored in every window are empty.",
      .order = 5}});

}  // namespace
}  // namespace ef
