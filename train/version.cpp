#include "train/config.h"

namespace ef {

bool Code::is_this() const {
  if (!sources.empty()) return sources == ef::sources();
  return version == ef::version() && version.find("-dirty") == std::string::npos;
}

std::string Code::text() const { return version + (sources.empty() ? "" : " (sources " + sources + ")"); }

}  // namespace ef
