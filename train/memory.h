// Whether a model and its batch fit the machine, known before anything is allocated.
#pragma once
#include "engine/parameters.h"
#include "train/config.h"

namespace ef {

// What memory the machine has, or this process may have of it, in bytes.
double machine_memory();

// Error if training (or else reading one sequence) needs more than that, whatever siblings are chosen: a
// lower bound from the sizes alone, for what is too large even to be declared.
enum class Use { reading, training };
void check_memory(const Config& config, Use use);

// The same of what was declared, so many times over: values, and gradients for each worker.
void check_memory(const Parameters& declared, Index copies);

}  // namespace ef
