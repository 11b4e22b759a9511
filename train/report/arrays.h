// Figures of the arrays that probes left in a run's folder: probes/NAME.KEY.STEP.npy. Files that are missing,
// damaged or of another shape are passed over; where none is left there is nothing to draw.
#pragma once
#include <string>

#include "train/plot/figure.h"

namespace ef {

// The eigenvalues of W = W_Q W_K^T of each head, from reading to reading: at most 40 of these, 16 heads.
Figure eigenvalue_figure(const std::string& run_folder);
// Attention by relative position (attn.profile), a map of position and step for each head, 16 at most.
Figure profile_figure(const std::string& run_folder);
// The signal propagation probability (attn.rho), likewise.
Figure rho_figure(const std::string& run_folder);
// The pattern of each head at the last reading (attn.map), 16 heads at most.
Figure attention_figure(const std::string& run_folder);

}  // namespace ef
