// compare: runs beside each other, as a table and as a page.
#include <cstdio>
#include <filesystem>

#include "engine/error.h"
#include "train/options/command_line.h"
#include "train/report/compare.h"

namespace ef {
namespace {

void compare(int argc, char** argv) {
  std::string page_path;
  FieldList options;
  options.group = "Page";
  options.add("page", page_path, "its file (default: compare.html beside the first run's folder)");
  std::vector<std::string> runs;
  const auto given = parse_command_line(
      "compare RUN...", "Shows runs beside each other: what differs, how they went, where they ended.",
      options, argc, argv, &runs);
  for (const auto& [name, text] : given) options.set(name, text);
  if (runs.empty()) fail("no run", "", "folders of runs", "compare runs/story runs/story-against");
  for (const std::string& run : runs)
    if (!std::filesystem::exists(std::filesystem::path(run) / "config.json"))
      fail("no run at " + run, "", "a folder that train has made, like runs/story");
  if (page_path.empty()) {
    const std::filesystem::path first =
        std::filesystem::path(runs.front() + "/").lexically_normal().parent_path();
    page_path = (first.parent_path() / "compare.html").string();
  }
  const Page page = comparison_page(runs);
  std::fputs(comparison_text(runs).c_str(), stdout);
  write_page(page_path, page);
  std::printf("\npage     %s\n", page_path.c_str());
}

}  // namespace
}  // namespace ef

int main(int argc, char** argv) {
  return ef::run_program("compare", [&] { ef::compare(argc, argv); });
}
