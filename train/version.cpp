// Built with -DEF_VERSION="..." -DEF_SOURCES="...", and alone, so that a new commit compiles one small file.
#include "train/config.h"

#ifndef EF_VERSION
#define EF_VERSION "unknown"
#endif

#ifndef EF_SOURCES
#define EF_SOURCES "unknown"
#endif

namespace ef {
const char* version() { return EF_VERSION; }
const char* sources() { return EF_SOURCES; }

bool Code::is_this() const {
  if (!sources.empty()) return sources == ef::sources();
  return version == ef::version() && version.find("-dirty") == std::string::npos;
}

std::string Code::text() const { return version + (sources.empty() ? "" : " (sources " + sources + ")"); }
}  // namespace ef
