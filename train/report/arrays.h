// Figures of the arrays that probes left in a run's folder: probes/NAME.KEY.STEP.npy.
#pragma once
#include <string>
#include <vector>

#include "train/plot/figure.h"

namespace ef {

// One for each array, drawn as the probe declares (models/quantity.h), or, where it declares nothing, as its
// shape suggests. Of one that is drawn over steps at most 40 readings; of heads at most 16. Files that are
// damaged, or of another shape than the last one, are passed over; where none is left there is no figure.
std::vector<Figure> array_figures(const std::string& run_folder);

}  // namespace ef
