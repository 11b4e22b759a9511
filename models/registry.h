// What makes the parts of a model: see engine/registry.h.
#pragma once
#include "engine/parameters.h"
#include "engine/registry.h"
#include "models/config.h"

namespace ef {

template <class Part>
using ModelFactory = std::function<std::unique_ptr<Part>(const Builder&, const ModelConfig&)>;

}  // namespace ef
