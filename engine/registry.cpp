#include "engine/registry.h"

namespace ef {
void keep_siblings_linked() {}
}  // namespace ef
