#include "train/session.h"

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
             ", matmuls in " + config.precision + " at " + short_number(peak) + "FLOP/s in all");
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
    if (!field.sibling || !field.sibling->set() || field.get() == defaults.find(field.name)->get()) continue;
    const std::string why = field.sibling->idle();
    if (!why.empty()) live.print("warning: --" + field.name + " does nothing: " + why);
  }
}

// ---- The loop

class Session {
 public:
  Session(const Config& config, const std::string& resume, const std::atomic<bool>& interrupted)
      : config_(config), interrupted_(interrupted), corpus_(load_data(config)), workers_(config.workers) {
    config_.model.vocab = corpus_.tokenizer->vocab_size();
    const Index context = config_.model.context;
    train_ = Registry<TrainWindows>::make(config_.windows, corpus_.train, corpus_.first_input, context,
                                          config_.seed, config_.options);
    valid_ = std::make_unique<ValidationWindows>(corpus_.valid, corpus_.first_input, context);
    trainer_ = std::make_unique<Trainer>(config_, workers_);
    run_ = resume.empty() ? create_run(config) : open_run(resume);  // mistakes leave no folder
    if (resume.empty()) {
      begin();
    } else {
      lock_ = lock_run(run_);
      const SavedConfig saved = load_config(run_);
      check_fingerprint(corpus_, saved);
      state_ = load_checkpoint(run_.last(), *trainer_);
      if (saved.config.steps != config_.steps) save_config(run_, config_, corpus_, *trainer_);
      gap_ = cut_metrics(run_, config_, state_.done);
    }
  }

  // The run's folder, or nothing if it was interrupted.
  std::optional<std::string> go() {
    const double peak = measure_peak(workers_);
    live_ = std::make_unique<Live>(run_.file("log.txt"), peak);
    metrics_ = std::make_unique<LineLog>(run_.file("metrics.jsonl"));
    watch_ = std::make_unique<Watch>(config_, run_, *valid_, *metrics_, *live_);
    Batch batch;
    fill(batch, state_.done);
    trainer_->loss_and_gradients(batch, state_.done);  // touches all memory that a step needs
    watch_->rehearse(*trainer_);
    introduce(*live_, config_, corpus_, run_, *trainer_, peak);
    if (const std::string probes = watch_->describe(); !probes.empty()) live_->print("probes   " + probes);
    warn_of_idle(*live_, config_);
    if (state_.done > 0) live_->print("resumed after step " + std::to_string(state_.done));
    if (!gap_.empty()) live_->print("warning: " + gap_);
    if (out_of_patience()) say_out_of_patience();

    near_defective_before_ = near_defective_count();
    bool stop = state_.done >= config_.steps || out_of_patience();
    if (stop && !state_.finished) {  // of an older version, which did not say so
      state_.finished = true;
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
      if (last || (config_.eval_every > 0 && state_.done % config_.eval_every == 0))
        stop = !validate() || last;
      state_.finished = stop;
      if (interrupted_) stop = true;
      if (stop || state_.done % config_.checkpoint_every == 0) save(run_.last());
    }
    if (interrupted_) {
      live_->print("stopped after step " + std::to_string(state_.done) + "; to go on: train --resume " +
                   run_.path);
      return std::nullopt;
    }
    finish();
    return run_.path;
  }

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
  // Returns whether training should go on.
  bool validate() {
    const Evaluation e = trainer_->evaluate(*valid_, trainer_->sequences_at_once());
    Record record{state_.done, {{"split", "valid"}}, -1, -1, {{"loss", e.loss()}}};
    if (std::isfinite(e.floor())) record.values.emplace_back("floor", e.floor());
    record.values.emplace_back("perplexity", std::exp(e.loss()));
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
    if (!out_of_patience()) return true;
    say_out_of_patience();
    return false;
  }

  // Looks back on the whole run.
  void finish() {
    // Where only some tokens are scored, the others were not learned: it could not write them.
    if (config_.sample_tokens > 0 && corpus_.train.scored.empty()) {
      if (state_.validated > 0) load_weights(run_.best(), trainer_->parameters());
      const bool documents = !corpus_.train.starts.empty();
      std::string text = write_text(trainer_->model(), trainer_->tape(), *corpus_.tokenizer, documents, "",
                                    config_.sample_tokens, {0.8, 0, 1}, 1);
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
  Corpus corpus_;
  Workers workers_;
  RunFolder run_;
  std::unique_ptr<Lock> lock_;
  std::unique_ptr<TrainWindows> train_;
  std::unique_ptr<ValidationWindows> valid_;
  std::unique_ptr<Trainer> trainer_;
  std::unique_ptr<Live> live_;
  std::unique_ptr<LineLog> metrics_;
  std::unique_ptr<Watch> watch_;
  RunState state_;
  std::string gap_;  // what metrics.jsonl lacks of the time before the checkpoint
  double tokens_ = 0;
  Index near_defective_before_ = 0;  // runs before this one, and the rehearsal, have theirs
};

}  // namespace

std::optional<std::string> run_training(const Config& config, const std::string& resume,
                                        const std::atomic<bool>& interrupted) {
  blas::use_precision(config.precision);  // before anything is written
  return Session(config, resume, interrupted).go();
}

}  // namespace ef
