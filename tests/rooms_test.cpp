// The house: arrows between rooms run down. A room is a folder; it may include from rooms that stand before
// it in the list below, and from itself. So nothing runs in circles, and a newcomer can read from the bottom
// up.
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "tests/helpers.h"

namespace fs = std::filesystem;

namespace {

// From the ground up.
// clang-format off
const std::vector<std::string> rooms = {
    "engine", "engine/matmul", "engine/ops", "engine/optimisers",
    "models", "models/attention", "models/regularisers", "models/theory", "models/probes",
    "data", "data/tokenizers", "data/sources",
    "train/text", "train/files", "train/options", "train/plot", "train/evidence",
    "train", "train/report", "train/experiment", "train/localize", "programs"};
// clang-format on

const std::set<std::string> programs = {"train", "sample", "eval", "localize", "experiment"};

// The programs stand in train/, above all that they are made of.
std::string room_of(const fs::path& file) {
  const std::string folder = file.parent_path().string();
  if (folder == "train" && file.extension() == ".cpp" && programs.contains(file.stem().string()))
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
    if (room != "programs") CHECK(fs::exists(fs::path(room) / "README.md"));
  }
}
