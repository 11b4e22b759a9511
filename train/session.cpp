#include "train/session.h"

#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "data/source.h"
#include "engine/matmul/blas.h"
#include "engine/ops.h"
#include "train/files/files.h"
#include "train/live.h"
#include "train/run.h"
#include "train/text/text.h"
#include "train/trainer.h"
#include "train/watch.h"
#include "train/write.h"

namespace ef {
namespace {

// ---- What is said before

std::string megabytes(std::size_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f MB", static_cast<double>(bytes) / 1e6);
  return text;
}

void introduce(Live& live, const Config& config, const Corpus& corpus, const RunFolder& run, Trainer& trainer,
               double peak) {
  const ModelConfig& m = config.model;
  live.print("eigenformer " + std::string(version()) + ", run " + run.path);
  live.print("data     " + corpus.name + ": " + grouped(static_cast<double>(corpus.train.size())) +
             " tokens to train on, " + grouped(static_cast<double>(corpus.valid.size())) +
             " held out, vocabulary " + grouped(static_cast<double>(corpus.tokenizer->vocab_size())));
  for (const std::string& note : corpus.notes) live.print("note     " + note);
  const double unigram = unigram_nats(corpus.train, corpus.valid);
  if (std::isfinite(unigram)) live.print("baseline " + describe_baseline(unigram));
  live.print("model    " + std::to_string(m.layers) + " layers x " + std::to_string(m.heads) + " heads x " +
             std::to_string(m.channels) + " channels, feed-forward " + std::to_string(m.ffn) + ", context " +
             std::to_string(m.context) + ", " + m.block + ": " +
             grouped(static_cast<double>(trainer.parameters().count())) + " parameters");
  if (trainer.optimiser().rules() > 1) live.print("rules    " + trainer.optimiser().describe());
  const MemoryPlan plan = trainer.plan();
  live.print("memory   " + megabytes(plan.total()) + ": weights " + megabytes(plan.weights) + ", optimiser " +
             megabytes(plan.optimiser) + ", gradients " + megabytes(plan.gradients) + ", activations " +
             megabytes(plan.activations) + ", their gradients " + megabytes(plan.activation_gradients) +
             ", program and data " + megabytes(plan.other));
  if (const std::string spectra = describe_qk(trainer.model()); !config.probe.empty() && !spectra.empty())
    live.print("spectra  " + spectra);
  live.print("machine  " + std::to_string(config.workers) + (config.workers == 1 ? " worker" : " workers") +
             ", matmuls in " + config.precision + " at " + short_number(peak) + "FLOP/s in all, " +
             blas::library().text());
}

// Options that do nothing, as they belong to a sibling that was not chosen, or beside others.
void warn_of_idle(Live& live, const Config& config) {
  Config copy = config, usual;
  apply_preset(usual, config.preset);  // what a preset says, nobody asked for
  const FieldList all = fields(copy), defaults = fields(usual);
  const std::string nothing = idle_reason(config, "regulariser");
  if (!nothing.empty()) {
    live.print("warning: --regulariser " + config.model.regulariser + " does nothing: " + nothing);
    return;
  }
  for (const Field& field : all.list) {
    if (field.get() == defaults.find(field.name)->get() || (field.sibling && !field.sibling->set())) continue;
    const std::string why = idle_reason(config, field.name);
    if (!why.empty()) live.print("warning: --" + field.name + " does nothing: " + why);
  }
}

// A regulariser of query-key matrices finds none in an attention whose logits are no such product.
void warn_of_no_products(Live& live, const Config& config, Trainer& trainer) {
  const auto* over_heads = dynamic_cast<const OverHeads*>(&trainer.regulariser());
  if (over_heads && over_heads->chosen(trainer.model()).empty())
    live.print("warning: --regulariser " + config.model.regulariser +
               " does nothing: no query-key product in attention " + config.model.attention);
}

// ---- The loop

class Session {
 public:
  Session(const Config& config, const std::string& resume, const std::atomic<bool>& interrupted,
          const ShowRun& show)
      : config_(config),
        interrupted_(interrupted),
        show_(show),
        corpus_(load_data(config)),
        workers_(config.workers) {
    config_.model.vocab = corpus_.tokenizer->vocab_size();
    const Index context = config_.model.context;
    train_ = Registry<TrainWindows>::make(config_.windows, corpus_.train, corpus_.first_input, context,
                                          config_.seed, config_.options);
    valid_ = std::make_unique<ValidationWindows>(corpus_.valid, corpus_.first_input, context);
    // Windows have about as many tokens each.
    const Index held_out = valid_->tokens(), wanted = eval_tokens(config_, held_out);
    const Index windows = (valid_->windows() * wanted + held_out - 1) / std::max<Index>(held_out, 1);
    some_ = std::make_unique<ValidationWindows>(valid_->spread(std::max<Index>(windows, 1)));
    trainer_ = std::make_unique<Trainer>(config_, workers_);
    run_ = resume.empty() ? create_run(config) : open_run(resume);  // mistakes leave no folder
    if (resume.empty()) {
      begin();
    } else {
      lock_ = lock_run(run_);
      const SavedConfig saved = load_config(run_);
      check_fingerprint(corpus_, saved);
      other_machine_ = this_machine().difference_from(saved.machine);
      state_ = load_checkpoint(run_.last(), *trainer_);
      if (saved.config.steps != config_.steps) save_config(run_, config_, corpus_, *trainer_);
      gap_ = cut_metrics(run_, config_, state_.done, owes_validation());
    }
  }

  // The run's folder, or nothing if it was interrupted.
  std::optional<std::string> go() {
    const double peak = measure_peak(workers_) * share_under_quota(workers_.count());
    live_ = std::make_unique<Live>(run_.file("log.txt"), peak);
    metrics_ = std::make_unique<LineLog>(run_.file("metrics.jsonl"));
    watch_ = std::make_unique<Watch>(config_, run_, *valid_, *metrics_, *live_);
    Batch batch;
    fill(batch, state_.done);
    trainer_->loss_and_gradients(batch, state_.done);  // touches all memory that a step needs
    watch_->rehearse(*trainer_);
    introduce(*live_, config_, corpus_, run_, *trainer_, peak);
    if (const std::string probes = watch_->describe(); !probes.empty()) live_->print("probes   " + probes);
    if (!scores_all())
      live_->print("validate " + grouped(static_cast<double>(some_->tokens())) + " of " +
                   grouped(static_cast<double>(valid_->tokens())) +
                   " held-out tokens each time, spread over the text; all of them at the end");
    if (show_) live_->print("page     " + run_.file("report.html") + ", renewed as it trains");
    warn_of_idle(*live_, config_);
    warn_of_no_products(*live_, config_, *trainer_);
    if (state_.done > 0) live_->print("resumed after step " + std::to_string(state_.done));
    if (!other_machine_.empty())
      live_->print(
          "warning: the run began on another machine, and its bits will not be those of a run without "
          "a break: " +
          other_machine_);
    if (!gap_.empty()) live_->print("warning: " + gap_);
    if (out_of_patience()) say_out_of_patience();

    near_defective_before_ = near_defective_count();
    bool stop = state_.done >= config_.steps || out_of_patience();
    if (stop && !state_.finished && !owes_validation()) {  // of an older version, which did not say so
      state_.finished = true;
      save(run_.last());
    }
    if (owes_validation()) {
      stop = !validate() || stop || interrupted_;
      state_.finished = stop && !owes_validation();
      save(run_.last());
    }
    while (!stop) {
      fill(batch, state_.done);
      const bool watches = watch_->due(state_.done + 1);
      if (watches) trainer_->keep_values();
      const StepResult result = trainer_->step(batch, state_.done);
      for (const std::string& warning : trainer_->regulariser().warnings) live_->print("warning: " + warning);
      trainer_->regulariser().warnings.clear();
      ++state_.done;
      tokens_ += static_cast<double>(batch.scored);
      const double floor = batch.floor_nats / static_cast<double>(batch.scored);
      live_->update({state_.done, config_.steps, result.loss, floor, result.learning_rate, tokens_,
                     trainer_->flops(), smoothed()});
      if (state_.done % config_.log_every == 0) {
        Record record{state_.done, {{"split", "train"}}, -1, -1, {}};
        record.values.emplace_back(smoothed() ? "smoothed_loss" : "loss", result.loss);
        if (std::isfinite(floor) && !smoothed()) record.values.emplace_back("floor", floor);
        record.values.emplace_back("learning_rate", result.learning_rate);
        record.values.emplace_back("gradient_norm", result.gradient_norm);
        if (regularised()) record.values.emplace_back("regulariser", result.regulariser);
        metrics_->line(record.line());
      }
      if (watches) watch_->read(*trainer_, state_.done);
      const bool last = state_.done == config_.steps;
      bool validated = false;
      if (last || (config_.eval_every > 0 && state_.done % config_.eval_every == 0))
        stop = !validate() || last, validated = true;
      state_.finished = stop && !owes_validation();
      if (interrupted_) stop = true;
      if (stop || state_.done % config_.checkpoint_every == 0) save(run_.last());
      if (validated && !stop && show_) show_(run_.path, false);
    }
    if (interrupted_) {
      live_->print("stopped after step " + std::to_string(state_.done) + "; to go on: train --resume " +
                   run_.path);
      return std::nullopt;
    }
    finish();
    return run_.path;
  }

  const std::string& folder() const { return run_.path; }

 private:
  // A new run: it can be resumed from its first instant on. What fails leaves nothing in the way.
  void begin() {
    lock_ = lock_run(run_);
    try {
      save_config(run_, config_, corpus_, *trainer_);
      save_checkpoint(run_.last(), *trainer_, state_);
    } catch (...) {
      std::error_code ignored;
      std::filesystem::remove_all(run_.path, ignored);
      throw;
    }
  }

  // Its lines are on the disk before the checkpoint that lies behind them.
  void save(const std::string& path) {
    metrics_->sync();
    save_checkpoint(path, *trainer_, state_);
  }

  void fill(Batch& batch, Index done) {
    train_->fill(batch, config_.overfit_one_batch ? 0 : static_cast<std::uint64_t>(done), config_.batch);
  }

  void say_out_of_patience() {
    live_->print("stopped: no new best in " + std::to_string(config_.patience) + " validations");
  }
  bool out_of_patience() const { return config_.patience > 0 && state_.since_best >= config_.patience; }

  // Label smoothing is part of what training minimises, but not of validations: the two do not compare.
  bool smoothed() const { return config_.label_smoothing > 0; }
  bool regularised() const { return config_.model.regulariser != "none"; }
  bool scores_all() const { return some_->windows() == valid_->windows(); }
  // Whether it was stopped in the middle of a validation, which a resumed run does first.
  bool owes_validation() const {
    const Index every = config_.eval_every;
    const bool last = state_.done == config_.steps, regular = every > 0 && state_.done % every == 0;
    const Index due = (every > 0 ? state_.done / every : 0) + (last && !regular ? 1 : 0);
    return state_.done > 0 && (last || regular) && state_.validated < due;
  }

  // Not complete if it was interrupted.
  Evaluation evaluate(const ValidationWindows& windows) {
    const auto start = std::chrono::steady_clock::now();
    std::unique_ptr<ProgressBar> bar;
    double told = 0;
    return trainer_->evaluate(windows, trainer_->sequences_at_once(), [&](double share) {
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      if (!bar && seconds.count() > 1) bar = std::make_unique<ProgressBar>(1.0);
      if (bar) bar->add(share - told, "validating");
      told = share;
      return !interrupted_;
    });
  }

  // All held-out text, where validations have scored a part of it: the weights as they are, and the best
  // ones.
  void score_all(const char* checkpoint) {
    const Evaluation e = evaluate(*valid_);
    if (!e.complete) return;
    Record record{state_.done, {{"split", "held-out"}, {"checkpoint", checkpoint}}, -1, -1, {}};
    record.values = {{"loss", e.loss()}, {"error", e.error}, {"perplexity", std::exp(e.loss())}};
    metrics_->line(record.line());
    live_->print(std::string("all held-out text, ") + checkpoint + " weights  " + describe(e));
  }

  // Returns whether training should go on.
  bool validate() {
    const Evaluation e = evaluate(*some_);
    if (!e.complete) return true;  // interrupted: the loop ends, and a resumed run does it
    Record record{state_.done, {{"split", "valid"}}, -1, -1, {{"loss", e.loss()}}};
    if (std::isfinite(e.floor())) record.values.emplace_back("floor", e.floor());
    record.values.emplace_back("perplexity", std::exp(e.loss()));
    if (!scores_all()) {
      record.values.emplace_back("error", e.error);
      record.values.emplace_back("tokens", static_cast<double>(e.tokens));
    }
    metrics_->line(record.line());
    watch_->validated(*trainer_, state_.done, e);
    const bool best = state_.validated++ == 0 || e.loss() < state_.best;
    state_.since_best = best ? 0 : state_.since_best + 1;
    if (best) {
      state_.best = e.loss();
      save(run_.best());
    }
    live_->print("valid  after step " + std::to_string(state_.done) + "  " + describe(e) +
                 (best ? "  (best)" : ""));
    if (!scores_all() && state_.done == config_.steps) score_all("last");
    if (!out_of_patience()) return true;
    say_out_of_patience();
    return false;
  }

  // Looks back on the whole run.
  void finish() {
    if (!scores_all() && state_.validated > 0) {
      load_weights(run_.best(), trainer_->parameters());
      score_all("best");
    }
    // Where only some tokens are scored, the others were not learned: it could not write them.
    if (config_.sample_tokens > 0 && corpus_.train.scored.empty()) {
      if (state_.validated > 0) load_weights(run_.best(), trainer_->parameters());
      const bool documents = !corpus_.train.starts.empty();
      std::string text = write_text(trainer_->model(), trainer_->tape(), *corpus_.tokenizer, documents,
                                    {.tokens = config_.sample_tokens, .sampling = {0.8, 0, 1}})
                             .text;
      if (documents) text.resize(text.rfind('\n') + 1);  // whole stories; npos + 1 is 0
      write_atomically(run_.file("sample.txt"), text);
      live_->print("\nit writes (temperature 0.8):\n");
      live_->print(text);
      const std::string said = data_source(config_.data, config_.options)->judge(text);
      if (!said.empty()) live_->print(said);
    }
    if (regularised()) {
      char share[64];
      std::snprintf(share, sizeof share, "\nthe regulariser took %.2f %% of the training time",
                    100 * trainer_->regulariser_share());
      live_->print(share);
    }
    if (const Index skipped = near_defective_count() - near_defective_before_; skipped > 0) {
      live_->print("note: " + grouped(static_cast<double>(skipped)) +
                   " times an eigenvalue was so close to another that its gradient was left out");
    }
    live_->print("\nreport   " + run_.file("report.html"));
    live_->print("more     build/bin/sample --run " + run_.path + "     build/bin/eval --run " + run_.path);
  }

  Config config_;
  const std::atomic<bool>& interrupted_;
  const ShowRun& show_;
  Corpus corpus_;
  Workers workers_;
  RunFolder run_;
  std::unique_ptr<Lock> lock_;
  std::unique_ptr<TrainWindows> train_;
  std::unique_ptr<ValidationWindows> valid_, some_;  // all, and what a validation scores
  std::unique_ptr<Trainer> trainer_;
  std::unique_ptr<Live> live_;
  std::unique_ptr<LineLog> metrics_;
  std::unique_ptr<Watch> watch_;
  RunState state_;
  std::string other_machine_;  // how this one differs from that on which the run began
  std::string gap_;            // what metrics.jsonl lacks of the time before the checkpoint
  double tokens_ = 0;
  Index near_defective_before_ = 0;  // runs before this one, and the rehearsal, have theirs
};

}  // namespace

std::optional<std::string> run_training(const Config& config, const std::string& resume,
                                        const std::atomic<bool>& interrupted, const ShowRun& show) {
  blas::use_precision(config.precision);  // before anything is written
  blas::check_products();
  Session session(config, resume, interrupted, show);
  try {
    const std::optional<std::string> folder = session.go();
    if (show) show(session.folder(), true);
    return folder;
  } catch (...) {
    try {
      if (show) show(session.folder(), true);
    } catch (const std::exception&) {  // what ended the run is what is told
    }
    throw;
  }
}

}  // namespace ef
