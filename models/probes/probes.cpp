#include "models/probes/probes.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "engine/error.h"
#include "engine/nearest.h"

namespace ef {
namespace {

// Whether the text is matched by a pattern in which * stands for any letters.
bool matches(const char* pattern, const char* text) {
  if (*pattern == '*') return matches(pattern + 1, text) || (*text && matches(pattern, text + 1));
  return *pattern == *text && (!*text || matches(pattern + 1, text + 1));
}

// Without the axis of sequences, of which there is one.
Tensor of_one_sequence(Tensor x) {
  check_shape(x.shape.rank >= 2 && x.shape[0] == 1, "TextObservation", "a point", x,
              "[1, ...]: of one sequence");
  Shape shape;
  shape.rank = x.shape.rank - 1;
  for (int axis = 0; axis < shape.rank; ++axis) shape.dims[axis] = x.shape[axis + 1];
  x.shape = shape;
  return x;
}

}  // namespace

Tensor TextObservation::at(Index layer, const std::string& point) const {
  const std::string path = "blocks." + std::to_string(layer) + "." + point;
  const auto found = seen.find(path);
  if (found != seen.end()) return of_one_sequence(found->second);
  const auto why = absent.find(path);
  missing_.insert("layer " + std::to_string(layer) + " does not show " + point +
                  (why == absent.end() ? "" : ": " + why->second));
  return {};
}

Tensor TextObservation::hidden() const {
  const auto found = seen.find("hidden");
  if (found != seen.end()) return of_one_sequence(found->second);
  missing_.insert("the model does not show hidden");
  return {};
}

Tensor TextObservation::logits() const {
  const auto shown = seen.find("logits");
  if (shown != seen.end()) return of_one_sequence(shown->second);
  const auto hidden = seen.find("hidden");
  // A listener sees them, too: the next one who asks finds them above.
  if (hidden != seen.end()) return of_one_sequence(model.logits(hidden->second));
  missing_.insert("the model does not show logits");
  return {};
}

double Reading::mean(const std::string& key) const {
  double total = 0, count = 0;
  for (const Scalar& scalar : scalars) {
    if (scalar.key != key) continue;
    total += scalar.value;
    ++count;
  }
  return count > 0 ? total / count : unknown;
}

const Quantity* Probe::declared(const std::string& key) const {
  const auto found = std::find_if(quantities.begin(), quantities.end(),
                                  [&](const Quantity& quantity) { return quantity.key == key; });
  return found == quantities.end() ? nullptr : &*found;
}

Quantity quantity_of(const std::string& probe, const std::string& key) {
  Quantity quantity{.key = key};
  for (const Probe& one : all_probes()) {
    if (one.name != probe) continue;
    if (const Quantity* declared = one.declared(key)) quantity = *declared;
    break;
  }
  // A bare key, as "mean", says little where several probes are shown.
  if (quantity.title.empty()) quantity.title = probe + "." + key;
  return quantity;
}

// ---- Several windows

namespace {

// Of an array, by key: the sum over windows, place by place.
struct ArraySum {
  std::vector<Index> shape;
  std::vector<double> total;
  double count = 0;
};
using ArraySums = std::map<std::string, ArraySum>;

// The means of what all windows gave, or of all but one.
std::vector<Reading::Array> means(const ArraySums& sums, const Reading* without) {
  std::vector<Reading::Array> result;
  for (const auto& [key, sum] : sums) {
    std::vector<double> total = sum.total;
    double count = sum.count;
    for (const Reading::Array& array : without ? without->arrays : std::vector<Reading::Array>{}) {
      if (array.key != key) continue;
      for (std::size_t i = 0; i < total.size(); ++i) total[i] -= static_cast<double>(array.values[i]);
      --count;
    }
    Reading::Array mean{key, sum.shape, {}};
    for (const double x : total) mean.values.push_back(static_cast<float>(x / count));
    result.push_back(std::move(mean));
  }
  return result;
}

// Adds what the probe derives, with the errors of the jackknife.
void add_derived(const Probe& probe, const std::vector<Reading>& of_windows, const ArraySums& sums,
                 Reading& whole) {
  Reading derived;
  probe.derive(whole.arrays, derived);
  const auto n = static_cast<double>(of_windows.size());
  std::vector<std::vector<double>> without(derived.scalars.size());  // by scalar, of each window left out
  for (const Reading& window : of_windows) {
    if (of_windows.size() < 2) break;
    Reading rest;
    probe.derive(means(sums, &window), rest);
    for (std::size_t i = 0; i < rest.scalars.size(); ++i) without[i].push_back(rest.scalars[i].value);
  }
  for (std::size_t i = 0; i < derived.scalars.size(); ++i) {
    double mean = 0, squares = 0;
    for (const double x : without[i]) mean += x / n;
    for (const double x : without[i]) squares += (x - mean) * (x - mean);
    if (!without[i].empty()) derived.scalars[i].error = std::sqrt((n - 1) / n * squares);
    whole.scalars.push_back(derived.scalars[i]);
  }
}

}  // namespace

Reading together(const Probe& probe, const std::vector<Reading>& of_windows) {
  Reading whole;
  whole.windows = std::ssize(of_windows);
  using Place = std::tuple<Index, Index, std::string, std::string>;
  std::map<Place, std::size_t> places;  // of a scalar in `whole`
  std::vector<std::vector<double>> values;
  ArraySums sums;
  for (const Reading& window : of_windows) {
    whole.missing.insert(window.missing.begin(), window.missing.end());
    for (const Reading::Scalar& s : window.scalars) {
      const auto [place, is_new] = places.try_emplace({s.layer, s.head, s.tensor, s.key}, values.size());
      if (is_new) {
        whole.scalars.push_back(s);
        values.emplace_back();
      }
      values[place->second].push_back(s.value);
    }
    for (const Reading::Array& array : window.arrays) {
      ArraySum& sum = sums[array.key];
      if (sum.count == 0) {
        sum.shape = array.shape;
        sum.total.resize(array.values.size());
      }
      if (sum.shape != array.shape)
        fail("probe " + probe.name + ": " + array.key + " has another shape in each window");
      for (std::size_t i = 0; i < sum.total.size(); ++i) sum.total[i] += static_cast<double>(array.values[i]);
      ++sum.count;
    }
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto n = static_cast<double>(values[i].size());
    double total = 0, squares = 0, largest = values[i][0];
    for (const double x : values[i]) {
      total += x;
      largest = largest >= x || std::isnan(largest) ? largest : x;
    }
    for (const double x : values[i]) squares += (x - total / n) * (x - total / n);
    const Quantity* declared = probe.declared(whole.scalars[i].key);
    const bool mean = !declared || declared->joined == Quantity::Joined::mean;
    whole.scalars[i].value = mean ? total / n : largest;
    whole.scalars[i].error = mean && n > 1 ? std::sqrt(squares / (n - 1) / n) : std::nan("");
  }
  whole.arrays = means(sums, nullptr);
  if (probe.derive && !whole.arrays.empty()) add_derived(probe, of_windows, sums, whole);
  return whole;
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
