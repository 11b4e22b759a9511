#include "train/explain.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>

#include "data/source.h"
#include "engine/matmul/blas.h"
#include "engine/trace.h"
#include "train/run.h"
#include "train/text/text.h"
#include "train/trainer.h"

namespace ef {
namespace {

// All that a step needs, without a run's folder.
struct Bench {
  Config config;
  Corpus corpus;
  Workers workers;
  std::unique_ptr<TrainWindows> windows;
  ValidationWindows valid;
  std::unique_ptr<Trainer> trainer;

  explicit Bench(const Config& c)
      : config(c),
        corpus(load_data(c)),
        workers(c.workers),
        windows(Registry<TrainWindows>::make(c.windows, corpus.train, corpus.first_input, c.model.context,
                                             c.seed, c.options)),
        valid(corpus.valid, corpus.first_input, c.model.context) {
    blas::use_precision(c.precision);
    config.model.vocab = corpus.tokenizer->vocab_size();
    trainer = std::make_unique<Trainer>(config, workers);
  }
  Batch batch(Index done) const {
    return windows->batch(static_cast<std::uint64_t>(config.overfit_one_batch ? 0 : done), config.batch);
  }
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

// "blocks.0.attn" of "blocks.0.attn.q": what a table has one heading for.
std::string group_of(const std::string& layer) {
  std::size_t end = layer.find('.');
  if (layer.starts_with("blocks.")) {
    end = layer.find('.', std::string("blocks.").size());
    if (end != std::string::npos) end = layer.find('.', end + 1);
  }
  const std::string group = layer.substr(0, end);
  return group.empty() ? "model" : group;
}

std::string label_of(const Trace::Op& op) {
  const std::string group = group_of(op.layer);
  const std::string rest = op.layer.size() > group.size() ? op.layer.substr(group.size() + 1) : "";
  return op.name + (rest.empty() ? "" : " " + rest);
}

// "[2, 240, 128] x [128, 128]"; "3 times [2, 240, 128]" of q, k and v.
std::string inputs_of(const Trace::Op& op) {
  std::vector<std::pair<std::string, int>> shapes;
  for (const Trace::Input& input : op.inputs) {
    if (input.is_parameter && input.shape.rank == 1) continue;  // biases and gains
    const std::string shape = input.shape.str();
    if (!shapes.empty() && shapes.back().first == shape)
      ++shapes.back().second;
    else
      shapes.emplace_back(shape, 1);
  }
  std::string text;
  for (const auto& [shape, times] : shapes)
    text += (text.empty() ? "" : " x ") + (times > 1 ? std::to_string(times) + " times " + shape : shape);
  return text.empty() ? "ids" : text;
}

std::string megabytes(double bytes) { return format("%.2f", bytes / 1e6); }
std::string milliseconds(double seconds) { return format("%.3f", 1e3 * seconds); }

// "12.3" of GFLOP, "61 %" of the peak; empty where there are none.
std::string work(double flops) { return flops > 0 ? format("%.3f", flops / 1e9) : ""; }
std::string share(double flops, double seconds, double peak) {
  return flops > 0 && seconds > 0 ? format("%.0f %%", 100 * flops / seconds / peak) : "";
}

std::string row(const std::string& label, const std::string& in, const std::string& out,
                const std::string& forward, const std::string& backward, const std::string& gflop,
                const std::string& of_peak, const std::string& moved, const std::string& held) {
  return format("%-24.24s %-38.38s %-18.18s %8s %8s %7s %7s %8s %7s\n", label.c_str(), in.c_str(),
                out.c_str(), forward.c_str(), backward.c_str(), gflop.c_str(), of_peak.c_str(), moved.c_str(),
                held.c_str());
}

// The ops of one step, each with the median of its times over several.
std::vector<Trace::Op> median_step(Bench& bench, StepTimes& times) {
  constexpr int rehearsals = 2, steps = 7;
  Trace trace(blas::flops_of_this_thread);
  std::vector<Trace::Op> ops;
  std::vector<std::vector<double>> forward, backward;
  for (int step = 0; step < rehearsals + steps; ++step) {
    const Batch batch = bench.batch(step);
    trace.clear();
    bench.trainer->tape().trace = &trace;
    const StepTimes before = bench.trainer->times();
    bench.trainer->step(batch, step);
    bench.trainer->tape().trace = nullptr;
    if (step < rehearsals) continue;
    times.all += (bench.trainer->times().all - before.all) / steps;
    times.passes += (bench.trainer->times().passes - before.passes) / steps;
    if (ops.empty()) {
      ops = trace.ops();
      forward.resize(ops.size());
      backward.resize(ops.size());
    }
    for (std::size_t i = 0; i < std::min(ops.size(), trace.ops().size()); ++i) {
      forward[i].push_back(trace.ops()[i].forward_seconds);
      backward[i].push_back(trace.ops()[i].backward_seconds);
    }
  }
  for (std::size_t i = 0; i < ops.size(); ++i) {
    ops[i].forward_seconds = median(forward[i]);
    ops[i].backward_seconds = median(backward[i]);
  }
  return ops;
}

// ---- The graph

std::string dot_of(const std::vector<Trace::Op>& ops, const std::vector<std::size_t>& shown) {
  std::string text = "digraph step {\n  node [shape=box, fontname=\"sans-serif\", fontsize=10];\n";
  std::map<std::string, std::vector<std::size_t>> groups;
  for (const std::size_t i : shown) groups[group_of(ops[i].layer)].push_back(i);
  for (const auto& [group, members] : groups) {
    text += "  subgraph \"cluster_" + group + "\" {\n    label=\"" + group + "\";\n";
    for (const std::size_t i : members)
      text += "    n" + std::to_string(i) + " [label=\"" + label_of(ops[i]) + "\\n" + ops[i].shape.str() +
              "\"];\n";
    text += "  }\n";
  }
  for (const std::size_t i : shown)
    for (const Trace::Input& input : ops[i].inputs)
      if (input.made_by >= 0)
        text += "  n" + std::to_string(input.made_by) + " -> n" + std::to_string(i) + ";\n";
  return text + "}\n";
}

Figure figure_of(const std::vector<Trace::Op>& ops, const std::vector<std::size_t>& shown, bool timed) {
  FlowFigure flow{.id = "step",
                  .title = "One step, op by op",
                  .note =
                      "From the ids at the top to the loss at the bottom; the backward runs the same way "
                      "up. Violet arcs pass over other ops: the residual stream, and what attention "
                      "reads."};
  if (timed) {
    flow.note += " Milliseconds of one micro-batch on one worker.";
    flow.first_label = "forward, ms";
    flow.second_label = "backward, ms";
  }
  std::map<Index, std::size_t> rows;
  std::string group;
  for (const std::size_t i : shown) {
    const Trace::Op& op = ops[i];
    if (group_of(op.layer) != group) {
      group = group_of(op.layer);
      flow.rows.push_back({.label = group, .heading = true});
    }
    FlowFigure::Row row_of{.label = label_of(op),
                           .detail = op.shape.str(),
                           .first = timed ? 1e3 * op.forward_seconds : 0,
                           .second = timed ? 1e3 * op.backward_seconds : 0};
    for (const Trace::Input& input : op.inputs)
      if (const auto used = rows.find(input.made_by); used != rows.end()) row_of.uses.push_back(used->second);
    rows[static_cast<Index>(i)] = flow.rows.size();
    flow.rows.push_back(std::move(row_of));
  }
  return draw(flow);
}

}  // namespace

Figure step_without_times(const Config& config) {
  Bench bench(config);
  Trace trace(blas::flops_of_this_thread);
  bench.trainer->tape().trace = &trace;
  bench.trainer->step(bench.batch(0), 0);
  bench.trainer->tape().trace = nullptr;
  std::vector<std::size_t> shown;
  for (std::size_t i = 0; i < trace.ops().size(); ++i)
    if (trace.ops()[i].pass == 0) shown.push_back(i);
  return figure_of(trace.ops(), shown, false);
}

Explanation explain_step(const Config& config) {
  Bench bench(config);
  const double peak = measure_peak(bench.workers) / static_cast<double>(bench.workers.count());
  StepTimes times;
  const std::vector<Trace::Op> ops = median_step(bench, times);
  const Index passes = ops.empty() ? 0 : ops.back().pass + 1;
  std::vector<std::size_t> shown;
  bool regularised = false;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    const bool of_regulariser = ops[i].layer.starts_with("regulariser");
    regularised = regularised || of_regulariser;
    if (ops[i].pass == 0 || of_regulariser) shown.push_back(i);
  }
  const Index repeated = passes - (regularised ? 1 : 0);

  Explanation e;
  e.text = "One step from inside: " + std::to_string(config.batch) + " sequences, " +
           std::to_string(config.workers) + (config.workers == 1 ? " worker" : " workers") + ". This is " +
           (repeated > 1 ? "the first of " + std::to_string(repeated) + " passes of the first one"
                         : std::string("the pass of the first one")) +
           (ops.empty() ? "" : ", over " + count_text(ops.front().shape[0], "sequence")) +
           ".\nTimes are in milliseconds, medians of seven steps; peak: " + short_number(peak) +
           "FLOP/s a thread. MB: what the forward reads\nand writes; MB held: until the backward. Biases and "
           "gains are not listed.\n\n" +
           row("op", "in", "out", "forward", "backward", "GFLOP", "of peak", "MB", "MB held");
  double forward = 0, backward = 0;
  for (std::size_t first = 0; first < shown.size();) {
    const std::string group = group_of(ops[shown[first]].layer);
    std::size_t last = first;
    double group_forward = 0, group_backward = 0, flops = 0, moved = 0, held = 0;
    for (; last < shown.size() && group_of(ops[shown[last]].layer) == group; ++last) {
      const Trace::Op& op = ops[shown[last]];
      group_forward += op.forward_seconds;
      group_backward += op.backward_seconds;
      flops += op.forward_flops + op.backward_flops;
      moved += op.bytes_moved;
      held += static_cast<double>(op.bytes_held);
    }
    e.text += row(group, "", "", milliseconds(group_forward), milliseconds(group_backward), work(flops),
                  share(flops, group_forward + group_backward, peak), megabytes(moved), megabytes(held));
    for (; first < last; ++first) {
      const Trace::Op& op = ops[shown[first]];
      const double op_flops = op.forward_flops + op.backward_flops;
      e.text += row("  " + label_of(op), inputs_of(op), op.shape.str(), milliseconds(op.forward_seconds),
                    op.has_backward ? milliseconds(op.backward_seconds) : "", work(op_flops),
                    share(op_flops, op.forward_seconds + op.backward_seconds, peak),
                    megabytes(op.bytes_moved), megabytes(static_cast<double>(op.bytes_held)));
    }
    forward += group_forward;
    backward += group_backward;
  }
  e.text += "\nops: " + milliseconds(forward) + " ms forward, " + milliseconds(backward) +
            " ms backward; all passes of the worker: " + milliseconds(times.passes) +
            " ms, the whole step: " + milliseconds(times.all) + " ms (--profile says where the rest goes)\n";
  e.dot = dot_of(ops, shown);
  e.figure = figure_of(ops, shown, true);
  return e;
}

std::string profile_steps(const Config& config) {
  Bench bench(config);
  Trainer& trainer = *bench.trainer;
  const double peak = measure_peak(bench.workers) / static_cast<double>(bench.workers.count());
  const std::vector<Probe> probes = probes_matching(config.probe);
  Batch few;
  bench.valid.fill_spread(few, config.probe_sequences);
  constexpr Index rehearsals = 3;
  constexpr double seconds_wanted = 5;

  struct Row {
    double forward = 0, backward = 0, flops = 0;
    std::string label;
  };
  std::map<std::string, Row> rows;
  std::vector<std::string> order;
  Trace trace(blas::flops_of_this_thread);
  StepTimes before;
  double data = 0, probing = 0, all = 0;
  const auto seconds = [] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  };
  double start = seconds();
  Index steps = 0;
  for (Index done = 0; done < config.steps + rehearsals; ++done) {
    if (done == rehearsals) {
      before = trainer.times();
      data = probing = 0;
      rows.clear();
      order.clear();
      start = seconds();
    }
    const double at_first = seconds();
    const Batch batch = bench.batch(done);
    data += seconds() - at_first;
    trace.clear();
    trainer.tape().trace = &trace;
    trainer.step(batch, done);
    trainer.tape().trace = nullptr;
    if (!probes.empty() && (done + 1) % config.every == 0) {
      const double then = seconds();
      trainer.observe(probes, few);
      probing += seconds() - then;
    }
    for (const Trace::Op& op : trace.ops()) {
      // All blocks together.
      std::string group = group_of(op.layer);
      if (group.starts_with("blocks.")) {
        const std::size_t point = group.find('.', std::string("blocks.").size());
        group = "blocks" + (point == std::string::npos ? "" : group.substr(point));
      }
      const std::string key = group + ": " + label_of(op);
      Row& sum = rows[key];
      if (sum.label.empty()) {
        sum.label = key;
        order.push_back(key);
      }
      sum.forward += op.forward_seconds;
      sum.backward += op.backward_seconds;
      sum.flops += op.forward_flops + op.backward_flops;
    }
    all = seconds() - start;
    steps = done + 1 - rehearsals;
    if (steps >= 10 && all > seconds_wanted) break;
  }

  const StepTimes& now = trainer.times();
  const auto line = [&](const std::string& label, const std::string& one, const std::string& two, double sum,
                        double flops) {
    return format("%-34.34s %9s %9s %9s %7.1f %% %8s\n", label.c_str(), one.c_str(), two.c_str(),
                  milliseconds(sum / static_cast<double>(steps)).c_str(), 100 * sum / all,
                  share(flops, sum, peak).c_str());
  };
  const auto of_step = [&](double sum) { return milliseconds(sum / static_cast<double>(steps)); };
  std::string text =
      std::to_string(steps) + " steps of " + std::to_string(config.batch) + " sequences, as the first of " +
      count_text(config.workers, "worker") + " saw them; milliseconds a step\n\n" +
      format("%-34s %9s %9s %9s %9s %8s\n", "", "forward", "backward", "both", "of all", "of peak");
  double ops = 0;
  for (const std::string& key : order) {
    const Row& sum = rows[key];
    text +=
        line(sum.label, of_step(sum.forward), of_step(sum.backward), sum.forward + sum.backward, sum.flops);
    ops += sum.forward + sum.backward;
  }
  const double passes = now.passes - before.passes, regulariser = now.regulariser - before.regulariser;
  const double packing = now.packing - before.packing, waiting = now.waiting - before.waiting;
  const double reduction = now.reduction - before.reduction, update = now.update - before.update;
  const double state = now.state - before.state;
  text += line("ops, together", "", "", ops, 0) + "\noutside of ops\n";
  const double between = passes + regulariser - ops;
  const std::pair<const char*, double> others[] = {{"between ops, gradients set to zero", between},
                                                   {"weights packed for products", packing},
                                                   {"waiting for other workers", waiting},
                                                   {"gradients added up, their norm", reduction},
                                                   {"optimiser", update},
                                                   {"state (power iterations, means)", state},
                                                   {"data: batches", data},
                                                   {"probes", probing}};
  double told = ops;
  for (const auto& [what, sum] : others) {
    told += sum;
    if (sum > 0) text += line(what, "", "", sum, 0);
  }
  return text + format("\naccounted for: %.1f %% of %.3f ms a step\n", 100 * told / all,
                       1e3 * all / static_cast<double>(steps));
}

std::string show_batch(const Config& config) {
  const Corpus corpus = load_data(config);
  const auto windows = Registry<TrainWindows>::make(config.windows, corpus.train, corpus.first_input,
                                                    config.model.context, config.seed, config.options);
  const Batch batch = windows->batch(0, config.batch);
  const Tokenizer& tokenizer = *corpus.tokenizer;
  // As it may stand in a terminal's line.
  const auto word = [&](std::int32_t id) {
    std::string text;
    for (const char c : tokenizer.token(id)) text += c == '\n' ? std::string("\\n") : std::string(1, c);
    return text == " " ? std::string("' '") : text;
  };
  std::string text = "The batch of the first step: " + count_text(batch.sequences, "sequence") + " of " +
                     std::to_string(batch.tokens) + " tokens, of whose targets " +
                     grouped(static_cast<double>(batch.scored)) + " are scored\n";
  constexpr Index rows_shown = 2, places_shown = 24;
  for (Index r = 0; r < std::min(rows_shown, batch.sequences); ++r) {
    const Index length = batch.lengths.empty() ? batch.tokens : batch.lengths[r];
    text += "\nsequence " + std::to_string(r + 1) + ", from token " +
            grouped(static_cast<double>(batch.begins.empty() ? 0 : batch.begins[r])) + " of the text on, " +
            count_text(length, "token") + (length < batch.tokens ? ", the rest is padding" : "") + "\n" +
            format("%6s  %6s  %-16s %6s  %-16s\n", "place", "input", "", "target", "");
    for (Index t = 0; t < std::min(places_shown, length); ++t) {
      const std::int32_t input = batch.inputs[r * batch.tokens + t];
      const std::int32_t target = batch.targets[r * batch.tokens + t];
      const bool scored = target != ignored;
      text += format("%6lld  %6d  %-16.16s %6s  %-16.16s\n", static_cast<long long>(t), input,
                     word(input).c_str(), scored ? std::to_string(target).c_str() : "",
                     scored ? word(target).c_str() : "not scored");
    }
    if (length > places_shown) text += "   ...\n";
    std::vector<std::int32_t> inputs(batch.inputs.begin() + r * batch.tokens,
                                     batch.inputs.begin() + r * batch.tokens + length);
    text += "as text, from its first input on:\n" + tokenizer.decode(inputs) + "\n";
  }
  return text;
}

}  // namespace ef
