// Results: each run of a plan leaves one small file.
#pragma once
#include <complex>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "train/experiment/plan.h"

namespace ef {

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
  std::string blas, kernel, build;  // see Machine; empty in results of older versions
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

}  // namespace ef
