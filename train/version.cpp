// Built with -DEF_VERSION="...", and alone, so that a new commit compiles one small file.
#include "train/config.h"

#ifndef EF_VERSION
#define EF_VERSION "unknown"
#endif

namespace ef {
const char* version() { return EF_VERSION; }
}  // namespace ef
