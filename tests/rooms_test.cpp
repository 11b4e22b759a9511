// The house: arrows between rooms run down. A room is a folder; it may include from rooms that stand before
// it in the list below, and from itself. So nothing runs in circles, and a newcomer can read from the bottom
// up.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "tests/helpers.h"
#include "train/explain.h"
#include "train/plot/figure.h"

namespace fs = std::filesystem;
using ef::contains;

namespace {

// From the ground up.
// clang-format off
const std::vector<std::string> rooms = {
    "engine", "engine/matmul", "engine/ops", "engine/optimisers",
    "models", "models/attention", "models/feed_forward", "models/blocks", "models/regularisers", "models/theory", "models/probes",
    "data", "data/tokenizers", "data/sources",
    "train/text", "train/files", "train/options", "train/plot", "train/evidence",
    "train", "train/report", "train/experiment", "train/localize", "programs"};
// clang-format on

std::string text_of(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

// The programs stand in train/, above all that they are made of.
std::string room_of(const fs::path& file) {
  const std::string folder = file.parent_path().string();
  if (folder == "train" && file.extension() == ".cpp" && contains(text_of(file), "\nint main("))
    return "programs";
  return folder;
}

std::vector<std::string> includes_of(const fs::path& file) {
  std::vector<std::string> list;
  std::ifstream stream(file);
  const std::string before = "#include \"";
  for (std::string line; std::getline(stream, line);)
    if (line.starts_with(before)) list.push_back(line.substr(before.size(), line.rfind('"') - before.size()));
  return list;
}

std::vector<fs::path> sources() {
  std::vector<fs::path> files;
  for (const char* top : {"engine", "models", "data", "train"})
    for (const auto& entry : fs::recursive_directory_iterator(top))
      if (entry.path().extension() == ".cpp" || entry.path().extension() == ".h")
        files.push_back(entry.path());
  return files;
}

}  // namespace

TEST_CASE("arrows between rooms run down", "[rooms]") {
  std::map<std::string, std::size_t> floors;
  for (std::size_t i = 0; i < rooms.size(); ++i) floors[rooms[i]] = i;
  std::size_t arrows = 0;
  std::set<std::string> seen;
  for (const fs::path& file : sources()) {
    const std::string here = room_of(file);
    INFO(file.string() << " stands in " << here);
    REQUIRE(floors.contains(here));  // a new room takes its place in the list above
    seen.insert(here);
    for (const std::string& include : includes_of(file)) {
      const std::string there = room_of(include);
      INFO("it includes " << include);
      CHECK(fs::exists(include));
      REQUIRE(floors.contains(there));
      CHECK(floors[there] <= floors[here]);
      arrows += there != here;
    }
  }
  CHECK(arrows > 100);                 // or nothing was read
  CHECK(seen.size() == rooms.size());  // or a room of the list is gone
}

TEST_CASE("each room has a page that says what lives there", "[rooms]") {
  for (const std::string& room : rooms) {
    INFO(room);
    if (room != "programs") CHECK(text_of(fs::path(room) / "README.md").starts_with("# "));
  }
}

// ---- The pages' figures, which `make figures` draws anew

namespace {

// The same text as the file's; with EIGENFORMER_DRAW set it is written there.
void check_figure(const std::string& path, const std::string& svg) {
  if (std::getenv("EIGENFORMER_DRAW")) std::ofstream(path, std::ios::binary) << svg;
  INFO(path << " is not what the code says: make figures");
  CHECK(text_of(path) == svg);
}

// Arrows from room to room, without those that follow from others.
std::map<std::string, std::set<std::string>> arrows() {
  std::map<std::string, std::set<std::string>> direct, reached;
  for (const fs::path& file : sources())
    for (const std::string& include : includes_of(file))
      if (room_of(file) != room_of(include)) direct[room_of(file)].insert(room_of(include));
  for (const std::string& room : rooms) {  // from the ground up: what those below reach is known
    reached[room] = direct[room];
    for (const std::string& below : direct[room])
      reached[room].insert(reached[below].begin(), reached[below].end());
  }
  for (auto& [room, below] : direct)
    std::erase_if(below, [&, &all = below](const std::string& target) {
      return std::any_of(all.begin(), all.end(), [&](const std::string& other) {
        return other != target && reached[other].contains(target);
      });
    });
  return direct;
}

}  // namespace

TEST_CASE("the figure of the rooms is that of their includes", "[rooms][figures]") {
  ef::FlowFigure flow{.id = "rooms",
                      .title = "The rooms, from the ground up",
                      .note = "An arc is an include, where it does not follow from others."};
  const auto below = arrows();
  std::map<std::string, std::size_t> row_of;
  for (const std::string& room : rooms) {
    // The heading of its page, "# The engine".
    const std::string page = text_of(fs::path(room) / "README.md");
    const std::string heading = page.substr(0, page.find('\n'));
    ef::FlowFigure::Row row{.label = room,
                            .detail = heading.size() > 2 ? heading.substr(2) : "a main() each"};
    if (const auto found = below.find(room); found != below.end())
      for (const std::string& target : found->second) row.uses.push_back(row_of.at(target));
    row_of[room] = flow.rows.size();
    flow.rows.push_back(std::move(row));
  }
  check_figure("engine/rooms.svg", ef::standalone_svg(ef::draw(flow)));
}

TEST_CASE("the figure of a step is what the tape records", "[figures]") {
  ef::Config config;
  ef::apply_preset(config, "story");
  config.model.layers = 1;
  config.workers = 1;
  check_figure("engine/step.svg", ef::standalone_svg(ef::step_without_times(config)));
}
