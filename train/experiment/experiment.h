// Sweeps: a plan says what is compared and what is predicted, each run of it leaves one small result file,
// and the summary is a function of the plan and these files alone.
//
// A plan is a JSON object (comments are allowed):
//   name, about          the name is that of its folders
//   options              of train, for all runs, as a line of text: "--preset paper --dropout 0"; arms cannot
//                        have a preset
//   updates, seeds       the budget of each run; whole numbers
//   waits                why its runs are not to be made yet, as "its arms are settled by the screening":
//                        predictions can stand before the arms do
//   arms                 name -> further options, in the order of the tables
//   grid                 list of {"name": "locater {c}", "options": "... --target {c}", "c": [8, 16]}: more
//                        arms, one for each combination of the lists; the first list changes slowest
//   baseline             the arm that others are compared with
//   measures             names of figures that the tables show, see RunResult
//   context_evaluation   true: perplexity with sliding context too, of the best checkpoint
//   test                 true: figures of the test set, computed at the end of each run from its best
//                        checkpoint, as weights are not kept, but shown only when all runs of the plan are
//                        there
//   claims               id -> {"says": sentence, "source": "paper" or "ours"}
//   predictions          list of {"claim": id, "says": sentence, "measure", "arm", "against" (default: the
//                        baseline), "direction": "lower", "higher" or "near", "margin", "role": "primary",
//                        "check" or "secondary"}, written before the runs
//
// Roles. A *primary* is the one prediction by which a plan judges a claim on its task: one for each claim at
// most, as of several the best could be chosen. A *check* asks whether the regulariser does what it is built
// to do (it holds the trace that it is told to hold); it speaks of no claim. A *secondary* prediction is
// shown with its interval, and gets no verdict. Where some predictions of a plan have a role, one without is
// secondary.
//
// Plans without any role were written before there were roles. They get them by a rule that was written down
// before it was applied, but after their runs, and it is said that this was done afterwards:
//   (a) predictions whose measure begins with "qk.spectrum." are checks;
//   (b) of the others, the first of each claim, in the order of the plan, is its primary;
//   (c) all others are secondary.
#pragma once
#include <complex>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "train/config.h"
#include "train/evidence/statistics.h"

namespace ef {

// ---- Plans

struct Arm {
  std::string name, options;  // as the plan has them
  Config config;              // all of them, but for the seed
};

struct Prediction {
  std::string claim, says, measure, arm, against;
  enum class Direction { lower, higher, near } direction = Direction::lower;
  // With d = arm - against, the prediction is d < -margin, d > margin, or |d| < margin.
  double margin = 0;
  enum class Role { primary, check, secondary } role = Role::secondary;
};

struct Statement {
  std::string id, says, source;
};

struct Plan {
  std::string path;  // of its file
  std::string name, about, options, baseline;
  std::string with;  // what load_plan() was given beside the file; in `options`, too
  std::string waits;
  Index updates = 0;
  std::vector<std::uint64_t> seeds;
  std::vector<Arm> arms;
  std::vector<std::string> measures;
  bool context_evaluation = false, test = false;
  std::vector<Statement> claims;
  std::vector<Prediction> predictions;
  bool roles_chosen_afterwards = false;  // by the rule above

  const Arm* arm(const std::string& name) const;  // nullptr if there is none
};

// Error, before anything runs, for what a plan cannot mean: unknown keys, arms, claims, measures or options,
// names that come twice, two primaries of one claim. Arms that do the same are none: see Summary::same_arms.
// with: further options for all arms, which count more than the plan's `options` and less than those of arms.
Plan load_plan(const std::string& path, const std::string& with = "");

// ---- Results

// A quantity over the course of a run; of a probe: the mean over the heads of a layer.
struct Curve {
  std::string name;  // "train.loss", "valid.loss", "attn.entropy.normalised"
  Index layer = -1;  // -1: of the whole model
  std::vector<double> steps, values;
};

// What one run of a plan left. Figures, by name:
//   valid.loss, valid.perplexity     the best of all validations; valid.step: when
//   valid.loss.last, ...perplexity.last, valid.loss.mean    the last one; the mean over all (how fast it
//                                    learned)
//   valid.excess                     valid.loss above the floor, where that is known
//   train.loss                       mean over the last tenth of the run
//   train.smoothed_loss              the same with label smoothing, as it was minimised, where it was logged
//   PROBE.KEY                        its last reading, the mean over layers and heads (largest: the largest)
//   PROBE.KEY.se                     mean over layers and heads of the standard errors over windows of that
//   PROBE.KEY.best                   the same at the step of the best validation, if it was read there
//   PROBE.KEY.min, PROBE.KEY.max     the same at its lowest and its highest over the run (a collapse that was
//                                    recovered from), of the few windows of which curves are; results of
//                                    older versions lack them
//   context.loss, context.perplexity, test.loss, test.perplexity, test.context.loss, ...perplexity
struct RunResult {
  std::string plan, arm;
  std::uint64_t seed = 0;
  std::string failure;                             // why the run failed; empty if it did not
  Index steps = 0;                                 // updates done
  std::map<std::string, std::string> options;      // all options of train, as text, but for its folders
  std::string version, sources, data_fingerprint;  // sources: see Code (config.h)
  double parameters = 0, vocabulary = 0;
  std::string processor, compiler;
  Index cores = 0;
  // Of the training's last process, which did `timed_steps` updates; NaN where it was not seen to end.
  double cpu_seconds = 0, wall_seconds = 0;
  Index timed_steps = 0;
  std::map<std::string, double> figures;  // NaN: not finite
  std::vector<Curve> curves;              // thinned
  struct Spectrum {
    Index step = 0;
    std::vector<std::vector<std::vector<std::complex<double>>>> eigenvalues;  // of layer, head
  };
  std::vector<Spectrum> spectra;  // at a dozen steps at most
  struct Array {  // the last reading of other arrays, such as attn.profile.profile; of maps the first head's
    std::string name;
    Index step = 0;
    std::vector<Index> shape;
    std::vector<double> values;
  };
  std::vector<Array> arrays;
  // On how many windows of the validation text the last reading of the probes rests; 0: not known, results of
  // older versions, which read the first two.
  Index windows = 0;
  std::vector<std::string> warnings;  // of train, each text once: "--softcap is an option of ..."

  bool failed() const { return !failure.empty(); }
  double figure(const std::string& name) const;  // NaN if there is none
  const Curve* curve(const std::string& name, Index layer = -1) const;
};

std::string to_json(const RunResult& result);
// Error if the text is no such result.
RunResult result_from_json(const std::string& text, const std::string& path);

// A file name of letters, digits, points and dashes: "locater-target-seed3".
std::string result_name(const std::string& arm, std::uint64_t seed);
// RESULTS/NAME of the plan; an empty `results` is the folder results beside the plan's file.
std::string results_folder(const Plan& plan, const std::string& results);

// All options as text by name, but for those that say where the folders are: what makes two runs the same.
std::map<std::string, std::string> options_of(const Config& config);
// Error that names the first option in which a result, or a run begun, differs from what the plan says.
void check_same_options(const std::map<std::string, std::string>& got, const Config& planned,
                        const std::string& path);

// The results of the plan's runs that are there, by seed, then arm. Error if one was made with other options,
// or on other data than the others.
std::vector<RunResult> load_results(const Plan& plan, const std::string& results);

// Reads what a run of train, and eval --json after it, left in the run's folder. failure: why it failed, or
// empty. Times and machine are those of this process's surroundings and are filled in by the caller.
RunResult collect_result(const std::string& run_folder, const std::string& failure);

// ---- Summary

struct MeasureSummary {
  std::string measure;
  std::vector<std::uint64_t> seeds;  // of `values`
  std::vector<double> values;        // of the runs that did not fail
  double mean = 0, standard_error = 0;
  // arm - baseline, paired by seed; empty for the baseline itself
  std::vector<double> differences;
  double effect = 0;  // their mean
  Interval t{}, bootstrap{};
};

struct ArmSummary {
  std::string arm;
  std::size_t finished = 0, failed = 0, planned = 0;  // runs
  std::vector<MeasureSummary> measures;
};

// says_nothing: the two arms do the same; shown: a secondary prediction, which gets no verdict.
enum class Judgement { holds, contradicted, undecided, not_run, says_nothing, shown };

struct PredictionSummary {
  Prediction prediction;
  std::string task;  // what it was asked on: the plan's name, "random walks"
  Judgement judgement = Judgement::not_run;
  std::vector<double> differences;  // by seed
  double effect = 0;
  Interval t{}, bootstrap{};
  // See p_value(); which of the two it speaks for. NaN: not finished, or fewer than two pairs.
  double p = std::numeric_limits<double>::quiet_NaN();
  Judgement tends = Judgement::undecided;
  // Of primaries: p, corrected by Holm's method for all that are judged together. NaN where p is.
  double adjusted = std::numeric_limits<double>::quiet_NaN();
  std::size_t planned = 0, over = 0, failed = 0;  // pairs: over when both runs have ended, failed if one has
  bool finished = false;                          // all pairs are over, and may be shown
  std::string nothing;                            // why it says nothing; empty if it does
  std::string notes;                              // of what is missing: "1 pair left out, as a run failed"
  std::string words;                              // the verdict as a sentence; empty for what is only shown
  std::string evidence;                           // what it rests on: "5 pairs", "4000 draws"
  std::string command;                            // what to type to see it
};

struct Summary {
  const Plan* plan = nullptr;
  std::vector<ArmSummary> arms;
  std::vector<PredictionSummary> predictions;
  std::size_t planned = 0, finished = 0, failed = 0;  // runs
  bool test_hidden = false;                           // figures of the test set wait for the other runs
  std::vector<std::string> failures;                  // a line for each failed run
  std::vector<std::string> versions, machines;        // that made the results, each once
  std::vector<std::string> warnings;                  // of train: a line for each arm and text
  std::vector<std::string> windows;                   // how much text probes have read: lines for remarks()
  // Arms that do what another does: a comparison of the two says nothing. A line for each such pair.
  std::vector<std::string> same_arms;
};

// The plan must outlive the summary. Verdicts are those of this plan alone: see judged().
Summary summarise(const Plan& plan, const std::vector<RunResult>& results);

// Why an arm does what another does, or "":
//   "its options are the same"
//   "its options are idle: --softcap"    they differ in options that do nothing (idle_reason(), config.h)
//   "same bits"                          all figures and curves are equal, in each seed where neither failed
std::string why_same(const Plan& plan, const std::string& arm, const std::string& other,
                     const std::vector<RunResult>& results);

// By the 95 % t interval of the differences, without any correction, as checks are judged: it holds where the
// whole interval is inside of what was predicted, it is contradicted where the whole interval is outside, and
// undecided otherwise, or for fewer than two pairs.
Judgement judge(const Prediction& prediction, const Interval& t);

struct PValue {
  double p;         // NaN if the effect or its error is
  Judgement tends;  // holds or contradicted, whichever has the smaller p; undecided where p is NaN or 1
};
// The p value of a prediction, from p_above() (train/evidence/statistics.h), such that p < .05 exactly where
// the 95 % t interval is inside of what was predicted (holds), or outside (contradicted), but for effects
// without spread.
//   lower, higher   two-sided, of the t test that d is at the boundary, -margin or margin
//   near            two one-sided tests, TOST (Schuirmann 1987, Journal of Pharmacokinetics and
//                   Biopharmaceutics 15, 657-680). holds: 2 max(p(d > -margin), p(d < margin)), twice what
//                   TOST needs; contradicted: 2 min(p(d < -margin), p(d > margin)). The smaller one counts.
// At most 1. degrees: of freedom of the error, pairs - 1.
PValue p_value(const Prediction& prediction, double effect, double error, std::int64_t degrees);

// The primaries that are judged together.
struct Family {
  std::size_t primaries = 0, unfinished = 0;
};

// Sets what follows from all of these predictions together: the corrected p values of primaries, all
// judgements and their words. A primary holds, or is contradicted, where its p, corrected by Holm's method
// for all primaries among them, is below .05. Those that are not finished count in their number, with p = 1,
// so that no verdict is undone by what comes later; those between arms that do the same do not count.
Family judge_together(const std::vector<PredictionSummary*>& predictions);
// The same summaries, judged over the primaries of all of them. Theory is a family of its own.
std::vector<Summary> judged(std::vector<Summary> summaries);
Family family_of(const std::vector<Summary>& summaries);
Family family_of(const std::vector<PredictionSummary>& theory);

// What the primaries of a claim say together. Training and theory are judged apart: simulations of random
// walks repeat what was known, and no training follows from them.
struct ClaimSummary {
  // partly: some hold, the others are undecided; mixed: some hold, some are contradicted; contradicted: some
  // are, and none holds; undecided: none is decided; not_asked: there is no primary
  enum class Status { reproduced, partly, mixed, contradicted, undecided, unfinished, not_run, not_asked };
  struct Column {
    Status status = Status::not_asked;
    std::size_t primaries = 0, holds = 0;
    // The status, and on which tasks: "in part: holds on a (1 of 2 tasks); undecided on b".
    std::string words;
  };
  Statement claim;
  Column training, theory;
  std::vector<PredictionSummary> predictions;  // of plans, then of theory; all roles but checks
};
// A function of all summaries, which it judges together. The paper's claims first. theory: predictions that
// are about claims of the plans but do not come from runs (localize_predictions()). Error if two plans say a
// claim differently.
std::vector<ClaimSummary> judge_claims(const std::vector<Summary>& summaries,
                                       const std::vector<PredictionSummary>& theory = {});

// How verdicts are made, in plain sentences, for these plans.
std::vector<std::string> rules(const std::vector<Summary>& summaries,
                               const std::vector<PredictionSummary>& theory = {});
// What must be known to read the tables of a plan: what is missing, failed or hidden, which arms do the same,
// what train warned of, on how much text probes rest, what made the results.
std::vector<std::string> remarks(const Summary& summary);
// What makes the results of a plan: "build/bin/experiment PLAN", and with what it was loaded.
std::string command_of(const Plan& plan);
// "5 arms x 2 seeds x 1,000 updates"
std::string budget_text(const Plan& plan);
// What is said of a plan without results.
std::string not_run_text(const Plan& plan);
// "lower by more than 0.1", "near, within 0.02"
std::string relation_text(const Prediction& prediction);
// So many, and the word for them: "1 pair", "2 pairs".
std::string count_text(std::size_t count, const std::string& word);

// As a verdict; "" for what is only shown.
const char* text_of(Judgement judgement);
// The same in the words of the role: a check is "as built" or "not as built".
const char* text_of(Judgement judgement, Prediction::Role role);
const char* text_of(Prediction::Role role);
const char* text_of(ClaimSummary::Status status);
// "0.012", "<0.0001", "-" for NaN
std::string p_text(double p);

// For a terminal, as Markdown, and as CSV with a line for each arm and measure. All summaries are judged
// together. theory: see judge_claims().
std::string summary_text(const std::vector<Summary>& summaries,
                         const std::vector<PredictionSummary>& theory = {});
std::string summary_markdown(const std::vector<Summary>& summaries,
                             const std::vector<PredictionSummary>& theory = {});
std::string summary_csv(const std::vector<Summary>& summaries);

// ---- Running

struct SweepOptions {
  Index jobs = 0;  // runs at once; 0: one for each processor
  std::string runs = "runs/experiment";
  std::string results;    // see results_folder()
  std::string programs;   // the folder of train and eval
  bool keep_old = false;  // results and runs begun of other code count as if they were of this one
  bool possible = false;  // leave out, and name, what cannot be run here: no tiles for its precision, no data
};

// Runs what has no result yet, but for plans that wait, and returns 0 when all results are there that can be;
// or the signal that interrupted it (SIGINT, SIGTERM, which have their default handlers again): then what ran
// has left checkpoints. Error if a run makes a mistake of the user, and, before anything runs, if a result or
// a run begun is of other code than this program, as where a layer was changed since.
int run_sweep(const std::vector<Plan>& plans, const SweepOptions& options);

}  // namespace ef
