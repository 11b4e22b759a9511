// experiment: runs plans, and says what their results say.
#include <cstdio>
#include <filesystem>
#include <set>

#include "engine/error.h"
#include "train/experiment/page.h"
#include "train/experiment/runner.h"
#include "train/files/files.h"
#include "train/files/stop.h"
#include "train/localize/results.h"
#include "train/options/command_line.h"

namespace ef {
namespace {

// The folder of this program, where train and eval stand beside it.
std::string own_folder(const char* called) {
  std::error_code error;
  std::filesystem::path path = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) path = called;
  return path.has_parent_path() ? path.parent_path().string() : ".";
}

std::vector<Plan> load_plans(const std::vector<std::string>& paths, const std::string& with) {
  if (paths.empty()) fail("no plan", "", "", "experiment train/paper/quick.json");
  std::vector<Plan> plans;
  std::set<std::string> names;
  for (const std::string& path : paths) {
    plans.push_back(load_plan(path, with));
    if (!names.insert(plans.back().name).second)
      fail(path + ": name", plans.back().name, "another name", "two of the plans have it");
  }
  return plans;
}

void experiment(int argc, char** argv) {
  SweepOptions sweep;
  std::string with, markdown, csv, page_path, figures, title, theory;
  bool summary_only = false;
  FieldList options;
  options.group = "Run";
  options.add("jobs", sweep.jobs, "runs at once (0: one for each processor that it may use)");
  options.add("runs", sweep.runs, "where the folders of runs stand while they are at work");
  options.add("results", sweep.results, "where result files go (default: results/ beside the plan)");
  options.add("with", with, "further options for all arms: '--precision float32' (needs --results)");
  options.add("keep-old", sweep.keep_old, "take results and runs begun of other code as they are");
  options.add(
      "possible", sweep.possible,
      "leave out runs that cannot be made here, for want of AMX and AVX512-BF16 or of data, and name them");
  options.group = "Summary";
  options.add("summary", summary_only, "only say what the results say that are there");
  options.add("markdown", markdown, "a file for the summary as Markdown");
  options.add("csv", csv, "a file for the summary as CSV");
  options.add("page", page_path, "a file for a page with figures, as report.html");
  options.add("figures", figures, "a folder for each figure of the page as SVG and CSV");
  options.add("title", title, "the page's title (default: the names of the plans)");
  options.add("theory", theory, "localize.json of localize: its tables and verdicts join the page");
  std::vector<std::string> paths;
  const auto given = parse_command_line(
      "experiment PLAN...",
      "Runs all arms of a plan over all seeds, and judges its predictions. Started again, it goes on.",
      options, argc, argv, &paths);
  for (const auto& [name, text] : given) options.set(name, text);
  if (sweep.jobs < 0) fail("--jobs", std::to_string(sweep.jobs), "at least 0");
  if (!with.empty() && sweep.results.empty())
    fail("--with", "no --results", "a folder for them", "the results are not those of the plan");
  sweep.programs = own_folder(argv[0]);

  const std::vector<Plan> plans = load_plans(paths, with);
  // Before the runs, which may take days: mistakes are told at once.
  Theory of_theory;
  if (!theory.empty()) {
    const std::string localized = read_file(theory);
    try {
      of_theory = {localize_predictions(localized), localize_sections(localized)};
    } catch (const Error& error) {
      fail(theory + ": " + error.what());
    }
  }
  if (!summary_only && run_sweep(plans, sweep) != 0) {
    std::string command;
    for (int i = 0; i < argc; ++i) {
      const std::string word = argv[i];
      command += word.find(' ') == std::string::npos ? " " + word : " '" + word + "'";
    }
    std::printf("stopped; to go on:%s\n", command.c_str());
    end_if_stopped();
    return;
  }
  std::vector<PlanResults> results;
  std::vector<Summary> summaries;
  for (const Plan& plan : plans) {
    results.push_back(read_results(plan, sweep.results));
    summaries.push_back(results.back().summary);
  }
  std::printf("%s", summary_text(summaries, of_theory.predictions).c_str());
  if (!markdown.empty()) write_atomically(markdown, summary_markdown(summaries, of_theory.predictions));
  if (!csv.empty()) write_atomically(csv, summary_csv(summaries));
  if (page_path.empty() && figures.empty()) return;
  Page page = experiment_page(results, of_theory);
  if (!title.empty()) page.title = title;
  if (!page_path.empty()) write_page(page_path, page);
  if (!figures.empty()) export_figures(figures, page);
  if (!page_path.empty()) std::printf("page: %s\n", page_path.c_str());
}

}  // namespace
}  // namespace ef

int main(int argc, char** argv) {
  return ef::run_program("experiment", [&] { ef::experiment(argc, argv); });
}
