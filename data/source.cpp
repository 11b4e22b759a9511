#include "data/source.h"

#include <algorithm>

namespace ef {

std::string source_name(const std::string& data) {
  const std::vector<std::string> names = Registry<DataSource>::names();
  return std::find(names.begin(), names.end(), data) == names.end() ? "text" : data;
}

std::unique_ptr<DataSource> data_source(const std::string& data, const OptionValues& options) {
  return Registry<DataSource>::make(source_name(data), options);
}

}  // namespace ef
