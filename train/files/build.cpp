// Built with -DEF_VERSION="..." -DEF_SOURCES="..." -DEF_BUILD="...", and alone, so that a new commit compiles
// one small file.
#include "train/files/build.h"

#ifndef EF_VERSION
#define EF_VERSION "unknown"
#endif

#ifndef EF_SOURCES
#define EF_SOURCES "unknown"
#endif

#ifndef EF_BUILD
#define EF_BUILD "unknown"
#endif

namespace ef {
const char* version() { return EF_VERSION; }
const char* sources() { return EF_SOURCES; }
const char* build_kind() { return EF_BUILD; }

std::string compiler() {
#ifdef __clang__
  return std::string("clang++ ") + __clang_version__;
#else
  return std::string("g++ ") + __VERSION__;
#endif
}
}  // namespace ef
