#include "train/trainer.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <fstream>
#include <numeric>

#include "engine/error.h"
#include "engine/matmul/blas.h"
#include "train/memory.h"

namespace ef {

Index automatic_micro_batch(const ModelConfig& model, Index parameters, Index sequences) {
  const double cache = 0x1p21;  // bytes: the second-level cache of a core, usually 1 to 2 MiB
  const double passes = 4;      // how often a step reads or writes each activation, or weight and gradient
  const auto c = static_cast<double>(model.channels), ffn = static_cast<double>(model.ffn);
  const auto tokens = static_cast<double>(model.context), all = static_cast<double>(sequences);
  const double activations = (10 * c + 2 * ffn) * sizeof(Real);     // bytes of a token in a layer
  const double weights = (4 * c * c + 2 * c * ffn) * sizeof(Real);  // bytes of a layer
  // As many as fit; but where a layer's weights do not fit either, enough tokens to be worth reading them.
  const double rows = std::max(cache / activations, weights > cache ? 1024.0 : 128.0);
  const double at_once = std::max(1.0, std::floor(rows / tokens)), times = std::ceil(all / at_once);
  const double saved = passes * all * tokens * activations * static_cast<double>(model.layers);
  const double lost = passes * (times - 1) * static_cast<double>(parameters) * sizeof(Real);
  return saved > lost ? std::max<Index>(1, static_cast<Index>(std::ceil(all / times))) : sequences;
}

Trainer::Trainer(const Config& config, Workers& workers) : config_(config), workers_(workers) {
  config_.schedule.total = config.steps;
  schedule_ = Registry<Schedule>::make(config.schedule.name, config.options);
  const Builder declaring(parameters_, nullptr);
  const Transformer declared(declaring, config.model);
  Registry<Regulariser>::make(config.model.regulariser, declaring / "regulariser", config.model);
  check_memory(parameters_, 1 + workers.count());
  parameters_.allocate();
  parameters_.initialise(config.seed);
  for (const Parameter& p : parameters_.list()) {
    constexpr Index most = 1 << 16;
    for (Index at = 0; p.trained && at < p.shape.size(); at += most) {
      pieces_.push_back({p.offset + at, std::min(most, p.shape.size() - at), 0});
    }
  }
  const Index most = (config.batch + workers.count() - 1) / workers.count();
  micro_batch_ = config.micro_batch > 0 ? config.micro_batch
                                        : automatic_micro_batch(config.model, parameters_.count(), most);
  OptimiserConfig optimiser = config.optimiser;
  optimiser.learning_rate = config.schedule.peak;
  optimiser.options = config.options;
  optimiser_ = std::make_unique<Optimiser>(parameters_, optimiser, workers.count());
  for (Index worker = 0; worker < workers.count(); ++worker) {
    auto replica = std::make_unique<Replica>();
    replica->gradients = Buffer(parameters_.flat_size());
    replica->model =
        std::make_unique<Transformer>(Builder(parameters_, replica->gradients.data()), config.model);
    replicas_.push_back(std::move(replica));
  }
  regulariser_ = Registry<Regulariser>::make(config.model.regulariser,
                                             Builder(parameters_, nullptr) / "regulariser", config.model);
  Index layer = 0;
  for (const auto& block : model().blocks) {
    block->attention->start(
        {config.seed, stream_of(Purpose::initialise, 0), static_cast<std::uint64_t>(++layer)});
  }
}

// Adds the gradients of these rows of the batch to the replica's, and their loss to its loss.
void Trainer::forward_backward(Replica& replica, const Batch& batch, Share rows, Index done,
                               bool check_finite) {
  Tape& tape = replica.tape;
  const Tape::Scope scope(tape);
  tape.recording = tape.settings.training = true;
  tape.check_finite = check_finite;
  tape.settings.random = {config_.seed, 0, static_cast<std::uint64_t>(done)};
  const CrossEntropy options{static_cast<double>(std::max<Index>(batch.scored, 1)), config_.label_smoothing};
  for (Index first = rows.first; first < rows.last; first += micro_batch_) {
    const Index sequences = std::min(micro_batch_, rows.last - first);
    const auto at = static_cast<std::size_t>(first * batch.tokens);
    const auto count = static_cast<std::size_t>(sequences * batch.tokens);
    tape.reset();
    tape.settings.first_sequence = first;
    tape.settings.share = static_cast<double>(sequences) / static_cast<double>(batch.sequences);
    const Tensor loss = replica.model->loss(std::span(batch.inputs).subspan(at, count), sequences,
                                            std::span(batch.targets).subspan(at, count), options);
    tape.backward(tape.with_penalties(loss));
    replica.loss += static_cast<double>(loss.data[0]);
  }
}

// Adds this worker's pieces of all workers' gradients to the first worker's, and takes their sums of squares.
void Trainer::reduce_pieces(Index worker) {
  const Share share = share_of(static_cast<Index>(pieces_.size()), worker, workers_.count());
  for (Index p = share.first; p < share.last; ++p) {
    Piece& piece = pieces_[p];
    Real* total = replicas_[0]->gradients.data() + piece.offset;
    for (std::size_t other = 1; other < replicas_.size(); ++other) {
      const Real* g = replicas_[other]->gradients.data() + piece.offset;
      for (Index i = 0; i < piece.size; ++i) total[i] += g[i];
    }
    piece.squares = sum_of_squares(total, piece.size);
  }
}

// Adds the seconds of its scope to a number.
class Timed {
 public:
  explicit Timed(double& to) : to_(to), start_(std::chrono::steady_clock::now()) {}
  ~Timed() { to_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  double& to_;
  std::chrono::steady_clock::time_point start_;
};

// Adds the regulariser's gradients to the first worker's, whose sequences are done.
void Trainer::regularise(Index done) {
  const Timed timed(times_.regulariser);
  Replica& first = *replicas_.front();
  const Tape::Scope scope(first.tape);
  first.tape.reset();
  const std::string name = "regulariser";
  const Tape::Part part(name);
  const Tensor term = regulariser_->loss(*first.model, done);
  regulariser_loss_ = term ? static_cast<double>(term.data[0]) : 0;
  if (!term) return;
  first.tape.backward(term);
}

double Trainer::loss_and_gradients(const Batch& batch, Index done) {
  // In few rows a product reads a weight hardly more often than packing does.
  const bool worth_keeping = batch.sequences * batch.tokens >= 512;
  const blas::Unchanging weights(parameters_.values(), worth_keeping ? parameters_.flat_size() : 0);
  {
    const Timed timed(times_.packing);
    workers_.run([&](Index worker) { weights.prepare(worker, workers_.count()); });
  }
  const double passes = times_.passes, regulariser = times_.regulariser;
  double together = 0;  // the first worker's passes, and until all others have done theirs
  {
    const Timed timed(together);
    workers_.run([&](Index worker) {
      Replica& replica = *replicas_[worker];
      const double flops = blas::flops_of_this_thread();
      double seconds = 0;
      {
        const Timed own(worker == 0 ? times_.passes : seconds);
        replica.loss = 0;
        replica.gradients.zero();
        forward_backward(replica, batch, share_of(batch.sequences, worker, workers_.count()), done, false);
      }
      if (worker == 0) regularise(done);
      replica.flops += blas::flops_of_this_thread() - flops;
    });
  }
  times_.waiting += together - (times_.passes - passes) - (times_.regulariser - regulariser);
  const Timed timed(times_.reduction);
  workers_.run([&](Index worker) { reduce_pieces(worker); });
  double loss = 0;
  for (const auto& replica : replicas_) loss += replica->loss;
  return loss;
}

StepResult Trainer::step(const Batch& batch, Index done) {
  const Timed timed(times_.all);
  {
    const Timed state(times_.state);
    for (const auto& block : model().blocks) block->attention->prepare();
    regulariser_->prepare(model(), done);
  }
  StepResult result;
  result.loss = loss_and_gradients(batch, done);
  result.regulariser = regulariser_loss_;
  result.learning_rate = schedule_->rate(config_.schedule, done);
  double squares = 0;
  for (const Piece& piece : pieces_) squares += piece.squares;
  result.gradient_norm = std::sqrt(squares);
  if (!std::isfinite(result.loss + result.regulariser + result.gradient_norm))
    explain(batch, done, result.loss);

  const bool clips = config_.clip > 0 && result.gradient_norm > config_.clip;
  const double gradient_scale = clips ? config_.clip / result.gradient_norm : 1;
  const Timed update(times_.update);
  workers_.run([&](Index worker) {
    optimiser_->update(worker, parameters_.values(), gradients(), done + 1, result.learning_rate,
                       gradient_scale);
  });
  return result;
}

void Trainer::keep_values() {
  if (values_before_.size() == 0) values_before_ = Buffer(parameters_.flat_size());
  std::copy_n(parameters_.values(), parameters_.flat_size(), values_before_.data());
  values_kept_ = true;
}

std::vector<Reading> Trainer::observe(const std::vector<Probe>& probes, const Batch& batch) {
  const auto length = [&](Index row) { return batch.lengths.empty() ? batch.tokens : batch.lengths[row]; };
  const auto begin = [&](Index row) { return batch.begins.empty() ? row : batch.begins[row]; };
  std::vector<Index> rows;
  Index longest = 0, first = 0;
  for (Index row = 0; row < batch.sequences; ++row) longest = std::max(longest, length(row));
  for (Index row = 0; row < batch.sequences; ++row) {
    if (length(row) < std::min<Index>(longest, 2)) continue;
    if (rows.empty() || begin(row) < begin(first)) first = row;
    rows.push_back(row);
  }

  const Observation weights{model(), parameters_, values_kept_ ? gradients() : nullptr,
                            values_kept_ ? values_before_.data() : nullptr};
  std::vector<std::vector<Reading>> of_windows(probes.size(), std::vector<Reading>(rows.size()));
  workers_.run([&](Index worker) {
    Replica& replica = *replicas_[worker];
    Tape& tape = replica.tape;
    const Tape::Scope scope(tape);
    tape.recording = tape.settings.training = tape.check_finite = false;
    for (std::size_t i = static_cast<std::size_t>(worker); i < rows.size();
         i += static_cast<std::size_t>(workers_.count())) {
      tape.reset();
      const Listener listener;
      const auto count = static_cast<std::size_t>(length(rows[i]));
      const std::span text(batch.inputs.data() + rows[i] * batch.tokens, count);
      std::span<const std::int32_t> asked;  // a batch may have none
      if (!batch.targets.empty()) asked = {batch.targets.data() + rows[i] * batch.tokens, count};
      replica.model->hidden(text, 1);
      for (std::size_t p = 0; p < probes.size(); ++p) {
        if (!probes[p].read_text) continue;
        const TextObservation observation(weights, listener.seen(), listener.absent(), rows[i] == first, text,
                                          asked);
        probes[p].read_text(observation, of_windows[p][i]);
        of_windows[p][i].missing.insert(observation.missing().begin(), observation.missing().end());
      }
    }
    tape.reset();
  });
  std::vector<Reading> readings;
  for (std::size_t p = 0; p < probes.size(); ++p) {
    if (probes[p].read_text)
      readings.push_back(together(probes[p], of_windows[p]));
    else
      probes[p].read_weights(weights, readings.emplace_back());
  }
  values_kept_ = false;
  return readings;
}

// Runs the step once more, looking at the output of every op; op by op, as a fused one would hide where in it
// the first NaN appeared.
void Trainer::explain(const Batch& batch, Index done, double loss) {
  const std::string when = "step " + std::to_string(done + 1) + ": ";
  ModelConfig textbook = config_.model;
  textbook.plain = true;
  Replica& replica = *replicas_.front();
  replica.model = std::make_unique<Transformer>(Builder(parameters_, replica.gradients.data()), textbook);
  try {
    for (Index row = 0; row < batch.sequences; ++row) {
      forward_backward(replica, batch, {row, row + 1}, done, true);
    }
  } catch (const NumericalError& error) {
    throw NumericalError(when + error.what());
  }
  loss_and_gradients(batch, done);
  for (const Parameter& parameter : parameters_.list()) {
    const Real* g = gradients() + parameter.offset;
    const bool finite = std::all_of(g, g + parameter.shape.size(), [](Real x) { return std::isfinite(x); });
    if (!finite) throw NumericalError(when + "NaN or infinity in the gradient of " + parameter.path);
  }
  throw NumericalError(when + "the loss is " + std::to_string(loss) + ", or the gradient's norm overflows");
}

double measure_peak(Workers& workers) {
  std::vector<double> rates(workers.count());
  workers.run([&](Index worker) { rates[worker] = blas::measure_peak(512, 0.1); });
  return std::accumulate(rates.begin(), rates.end(), 0.0);
}

Evaluation Trainer::evaluate(const ValidationWindows& windows, Index rows,
                             const std::function<bool(double)>& goes_on) {
  const Index batches = windows.batches(rows);
  std::vector<Evaluation> parts(batches);
  std::atomic<bool> stopped = false;
  workers_.run([&](Index worker) {
    Replica& replica = *replicas_[worker];
    Tape& tape = replica.tape;
    const Tape::Scope scope(tape);
    tape.recording = tape.settings.training = tape.check_finite = false;
    Batch batch;
    for (Index k = worker; k < batches && !stopped; k += workers_.count()) {
      tape.reset();
      windows.fill(batch, k, rows);
      const Tensor nats = replica.model->loss(batch.inputs, batch.sequences, batch.targets);
      parts[k] = {static_cast<double>(nats.data[0]), batch.floor_nats, batch.scored};
      if (worker == 0 && goes_on && !goes_on(static_cast<double>(k) / static_cast<double>(batches)))
        stopped = true;
    }
    tape.reset();
  });
  Evaluation total;
  if (stopped) {
    total.complete = false;
    return total;
  }
  for (const Evaluation& part : parts) {
    total.nats += part.nats;
    total.floor_nats += part.floor_nats;
    total.tokens += part.tokens;
  }
  // Of a ratio of sums over batches: sum (nats_i - loss tokens_i)^2 n / (n - 1), over the tokens squared.
  double squares = 0;
  for (const Evaluation& part : parts) {
    const double off = part.nats - total.loss() * static_cast<double>(part.tokens);
    squares += off * off;
  }
  const double n = static_cast<double>(batches);
  total.error = std::sqrt(squares * n / (n - 1)) / static_cast<double>(total.tokens);
  return total;
}

namespace {

// What the process has in memory now; 0 where there is no /proc.
std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t all_pages = 0, resident_pages = 0;
  file >> all_pages >> resident_pages;
  return file ? resident_pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) : 0;
}

}  // namespace

MemoryPlan Trainer::plan() const {
  const std::size_t flat = static_cast<std::size_t>(parameters_.flat_size()) * sizeof(Real);
  MemoryPlan plan{flat, optimiser_->bytes(), flat * replicas_.size(), 0, 0};
  for (const auto& replica : replicas_) {
    plan.activations += replica->tape.activations().bytes_peak();
    plan.activation_gradients += replica->tape.gradients().bytes_peak();
  }
  const std::size_t resident = resident_bytes();
  if (resident > plan.total()) plan.other = resident - plan.total();
  return plan;
}

double Trainer::flops() const {
  double total = 0;
  for (const auto& replica : replicas_) total += replica->flops;
  return total;
}

}  // namespace ef
