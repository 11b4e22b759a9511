#include "models/probes.h"

#include <algorithm>
#include <limits>

#include "engine/error.h"
#include "engine/nearest.h"

namespace ef {
namespace {

// Whether the text is matched by a pattern in which * stands for any letters.
bool matches(const char* pattern, const char* text) {
  if (*pattern == '*') return matches(pattern + 1, text) || (*text && matches(pattern, text + 1));
  return *pattern == *text && (!*text || matches(pattern + 1, text + 1));
}

}  // namespace

Tensor Observation::at(Index layer, const std::string& point) const {
  const auto found = seen.find("blocks." + std::to_string(layer) + "." + point);
  return found == seen.end() ? Tensor{} : found->second;
}

double Reading::mean(const std::string& key) const {
  double total = 0, count = 0;
  for (const Scalar& scalar : scalars) {
    if (scalar.key != key) continue;
    total += scalar.value;
    ++count;
  }
  return count > 0 ? total / count : std::numeric_limits<double>::quiet_NaN();
}

std::vector<Probe>& all_probes() {
  static std::vector<Probe> all;
  return all;
}

std::vector<Probe> probes_matching(const std::string& patterns) {
  std::vector<Probe> sorted = all_probes(), chosen;
  std::sort(sorted.begin(), sorted.end(), [](const Probe& a, const Probe& b) { return a.name < b.name; });
  for (std::size_t begin = 0; begin < patterns.size();) {
    const std::size_t end = std::min(patterns.find(',', begin), patterns.size());
    const std::string pattern = patterns.substr(begin, end - begin);
    begin = end + 1;
    bool any = false;
    std::vector<std::string> names;
    for (const Probe& probe : sorted) {
      names.push_back(probe.name);
      if (!matches(pattern.c_str(), probe.name.c_str())) continue;
      any = true;
      const auto same = [&](const Probe& other) { return other.name == probe.name; };
      if (std::none_of(chosen.begin(), chosen.end(), same)) chosen.push_back(probe);
    }
    if (!any) fail("no probe " + pattern, "", "", suggestion(pattern, names));
  }
  return chosen;
}

}  // namespace ef
