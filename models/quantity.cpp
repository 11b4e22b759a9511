#include "models/quantity.h"

namespace ef {

std::string axis_text(const Quantity& q) {
  return q.unit + (!q.unit.empty() && !q.meaning.empty() ? ": " : "") + q.meaning;
}

std::string row_text(const Quantity& q) {
  if (!q.row.empty()) return q.row;
  return q.title + (q.unit.empty() ? "" : ", " + q.unit);
}

}  // namespace ef
