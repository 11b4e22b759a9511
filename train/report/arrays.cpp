#include "train/report/arrays.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <map>
#include <numeric>

#include "engine/error.h"
#include "train/files/npy.h"
#include "train/quantities.h"

namespace ef {
namespace {

constexpr std::size_t most_heads = 16, most_states = 40;

// The files of all arrays by PROBE.KEY, and by step.
std::map<std::string, std::map<long, std::string>> files_of(const std::string& run_folder) {
  constexpr std::string_view after = ".npy";
  std::map<std::string, std::map<long, std::string>> found;
  std::error_code error;  // no folder: no files
  for (std::filesystem::directory_iterator file(run_folder + "/probes", error), end; !error && file != end;
       file.increment(error)) {
    const std::string name = file->path().filename().string();
    if (!name.ends_with(after)) continue;
    const std::size_t stop = name.size() - after.size(), point = name.rfind('.', stop - 1);
    if (stop == 0 || point == std::string::npos || point + 1 == stop) continue;
    long step = -1;
    const auto [at, problem] = std::from_chars(name.data() + point + 1, name.data() + stop, step);
    if (at == name.data() + stop && problem == std::errc{} && step >= 0)
      found[name.substr(0, point)][step] = file->path().string();
  }
  return found;
}

// Evenly among all, the first and the last always.
std::map<long, std::string> thinned(const std::map<long, std::string>& all) {
  if (all.size() <= most_states) return all;
  std::map<long, std::string> kept;
  std::size_t i = 0;
  for (const auto& reading : all)
    if (i++ * (most_states - 1) / (all.size() - 1) >= kept.size()) kept.insert(reading);
  kept.insert(*all.rbegin());
  return kept;
}

struct Reading {
  double step;
  NpyArray array;
};

// In the order of steps. Those that have another shape than the last one are left out, and all if that is
// damaged or not [layer, head, ...] of so many dimensions.
std::vector<Reading> read_all(const std::map<long, std::string>& files, std::size_t dimensions) {
  std::vector<Reading> readings;
  for (auto file = files.rbegin(); file != files.rend(); ++file) {
    try {
      NpyArray array = read_npy(file->second);
      const bool fits = readings.empty() ? array.shape.size() == dimensions && !array.values.empty()
                                         : array.shape == readings.front().array.shape;
      if (fits) readings.push_back({static_cast<double>(file->first), std::move(array)});
    } catch (const Error&) {
    }
    if (readings.empty()) return {};
  }
  std::reverse(readings.begin(), readings.end());
  return readings;
}

// The share of an array that belongs to one head.
struct Head {
  std::string title;
  std::size_t begin, size;
};

// All heads of an array [layer, head, ...] that have a finite number, and how many more there are than are
// shown.
std::vector<Head> heads_of(const NpyArray& array, std::size_t& more) {
  if (array.shape.size() == 1) return {{"whole model", 0, array.values.size()}};
  const auto heads = static_cast<std::size_t>(array.shape[1]);
  const std::size_t size = array.values.size() / (static_cast<std::size_t>(array.shape[0]) * heads);
  std::vector<Head> all;
  for (std::size_t begin = 0, i = 0; begin < array.values.size(); begin += size, ++i) {
    const auto first = array.values.begin() + static_cast<std::ptrdiff_t>(begin);
    if (std::none_of(first, first + static_cast<std::ptrdiff_t>(size),
                     [](float x) { return std::isfinite(x); }))
      continue;  // a layer without such a head
    all.push_back({"layer " + std::to_string(i / heads) + " head " + std::to_string(i % heads), begin, size});
  }
  more = all.size() > most_heads ? all.size() - most_heads : 0;
  all.resize(all.size() - more);
  return all;
}

std::string left_out(std::size_t more) {
  if (more == 0) return "";
  return ' ' + std::to_string(more) + (more == 1 ? " more head is left out." : " more heads are left out.");
}

std::string at_step(double step) { return "step " + grouped(step); }

std::vector<ChartPoint> complex_numbers(const NpyArray& array, const Head& head) {
  std::vector<ChartPoint> points;
  for (std::size_t at = head.begin; at < head.begin + head.size; at += 2) {
    const ChartPoint p{static_cast<double>(array.values[at]), static_cast<double>(array.values[at + 1])};
    if (std::isfinite(p.x) && std::isfinite(p.y)) points.push_back(p);
  }
  return points;
}

// What one array is drawn from.
struct Drawing {
  std::string id;
  Picture picture;
  std::map<long, std::string> files;  // by step
};

// Numbers [layer, head, place]: their course over all readings.
Figure draw_lines(const Drawing& drawing) {
  const Picture& picture = drawing.picture;
  HeatMap map{.id = drawing.id,
              .title = picture.title,
              .value_label = picture.unit,
              .low = picture.low,
              .high = picture.high,
              .single_precision = true};
  std::vector<Reading> readings = read_all(thinned(drawing.files), 3);
  if (readings.empty()) readings = read_all(thinned(drawing.files), 1);
  if (readings.empty()) return {};
  std::size_t more = 0;
  const std::vector<Head> heads = heads_of(readings.back().array, more);
  for (const Reading& reading : readings) map.x.values.push_back(reading.step);
  const auto bins = static_cast<std::size_t>(readings.back().array.shape.back());
  for (std::size_t bin = 0; bin < bins; ++bin)
    map.y.values.push_back((static_cast<double>(bin) + 0.5) / static_cast<double>(bins));
  for (const Head& head : heads) {
    HeatMap::Panel panel{.title = head.title};
    for (std::size_t bin = 0; bin < bins; ++bin)
      for (const Reading& reading : readings)
        panel.values.push_back(static_cast<double>(reading.array.values[head.begin + bin]));
    map.panels.push_back(std::move(panel));
  }
  map.x.label = "step";
  map.y.label = picture.axis;
  map.note = picture.note + left_out(more);
  map.width = 210;
  map.height = 210;
  return draw(map);
}

Figure draw_eigenvalues(const Drawing& drawing) {
  const Picture& picture = drawing.picture;
  ScatterFigure figure{
      .id = drawing.id, .title = picture.title, .points_label = picture.unit, .single_precision = true};
  const std::vector<Reading> readings = read_all(thinned(drawing.files), 4);
  if (readings.empty() || readings.back().array.shape[3] != 2) return {};
  std::size_t more = 0;
  for (const Head& head : heads_of(readings.back().array, more)) {
    ScatterFigure::Panel panel{.title = head.title, .points = complex_numbers(readings.back().array, head)};
    for (std::size_t i = 0; i + 1 < readings.size(); ++i)
      panel.earlier.push_back(complex_numbers(readings[i].array, head));
    figure.panels.push_back(std::move(panel));
  }
  if (readings.size() > 1)
    for (const Reading& reading : readings) figure.states.push_back(at_step(reading.step));
  figure.note = figure.states.empty() ? "At " + at_step(readings.back().step) + ", in the complex plane."
                                      : std::string("In the complex plane, from reading to reading.");
  if (!picture.note.empty()) figure.note.append(" ").append(picture.note);
  figure.note += left_out(more);
  return draw(figure);
}

// The last reading.
Figure draw_pattern(const Drawing& drawing) {
  AttentionMap map{.id = drawing.id, .title = drawing.picture.title};
  const std::vector<Reading> last = read_all({*drawing.files.rbegin()}, 4);
  if (last.empty() || last[0].array.shape[2] != last[0].array.shape[3]) return {};
  const std::vector<float>& values = last[0].array.values;
  std::size_t more = 0;
  for (const Head& head : heads_of(last[0].array, more)) {
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>(head.begin);
    map.panels.push_back({head.title,
                          static_cast<int>(last[0].array.shape[3]),
                          {begin, begin + static_cast<std::ptrdiff_t>(head.size)}});
  }
  map.note =
      "One held-out sequence at " + at_step(last[0].step) + ". " + drawing.picture.note + left_out(more);
  return draw(map);
}

Figure draw_array(const Drawing& drawing) {
  switch (drawing.picture.kind) {
    case Picture::Kind::eigenvalues:
      return draw_eigenvalues(drawing);
    case Picture::Kind::pattern:
      return draw_pattern(drawing);
    case Picture::Kind::line:
      break;
  }
  return draw_lines(drawing);
}

// Of an array that nobody declares, by the shape of its last file.
Picture::Kind kind_of(const std::map<long, std::string>& files) {
  try {
    const std::vector<Index> shape = read_npy(files.rbegin()->second).shape;
    if (shape.size() == 4 && shape[3] == 2) return Picture::Kind::eigenvalues;
    if (shape.size() == 4) return Picture::Kind::pattern;
  } catch (const Error&) {
  }
  return Picture::Kind::line;
}

}  // namespace

std::vector<Figure> array_figures(const std::string& run_folder) {
  std::vector<Drawing> drawings;
  for (const auto& [name, files] : files_of(run_folder)) {
    Drawing drawing{slug(name), picture_named(name), files};
    if (drawing.picture.title == name) drawing.picture.kind = kind_of(files);
    drawings.push_back(std::move(drawing));
  }
  std::stable_sort(drawings.begin(), drawings.end(),
                   [](const Drawing& a, const Drawing& b) { return a.picture.order < b.picture.order; });
  std::vector<Figure> figures;
  for (const Drawing& drawing : drawings)
    if (Figure figure = draw_array(drawing); !figure.panels.empty()) figures.push_back(std::move(figure));
  return figures;
}

}  // namespace ef
