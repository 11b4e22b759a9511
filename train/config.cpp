#include "train/config.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <limits>

#include "data/batches.h"
#include "data/source.h"
#include "engine/error.h"
#include "models/layers.h"
#include "models/registry.h"
#include "models/regulariser.h"
#include "models/transformer.h"
#include "train/files/json.h"
#include "train/text/text.h"

namespace ef {
FieldList fields(Config& c) {
  FieldList f;
  f.group = "Data";
  std::vector<std::string> sources = Registry<DataSource>::names();
  std::erase(sources, "text");
  f.add("data", c.data,
        list_of(sources) + ", a UTF-8 text file, or a folder with train.txt, valid.txt, test.txt");
  f.list.back().names = sources;
  f.add("windows", c.windows, "training windows: stretches of the text, or blocks shuffled each epoch",
        Registry<TrainWindows>::names());

  f.group = "Model";
  f.add("context", c.model.context, "tokens that the model sees at once");
  f.add("layers", c.model.layers, "blocks");
  f.add("heads", c.model.heads, "attention heads a block");
  f.add("channels", c.model.channels, "width of the residual stream, a multiple of heads");
  f.add("ffn", c.model.ffn, "width inside the feed-forward part");
  f.add("dropout", c.model.dropout, "share of numbers dropped while training");
  f.add("tied", c.model.tied, "the output matrix is the token table");
  f.add("bias", c.model.bias, "biases in linear layers and layer norms");
  f.add("block", c.model.block, "block", Registry<Block>::names());
  f.add("attention", c.model.attention, "attention", Registry<Attention>::names());
  f.add("feed-forward", c.model.feed_forward, "feed-forward part", Registry<FeedForward>::names());
  f.add("norm", c.model.norm, "norm inside the blocks", Registry<Norm>::names());
  f.add("final-norm", c.model.final_norm, "norm before the output", Registry<Norm>::names());
  f.add("positions", c.model.positions, "positions", Registry<Positions>::names());
  f.add("activation", c.model.activation, "activation of the feed-forward part", activation_names());
  f.add("init", c.model.initialisation, "how weights start", Registry<Initialisation>::names());

  f.add("plain", c.model.plain, "compute what is fused op by op, as a textbook does: slower, to learn from");

  f.add("regulariser", c.model.regulariser, "a term over the query-key matrices",
        Registry<Regulariser>::names());

  f.group = "Training";
  f.add("steps", c.steps, "updates");
  f.add("batch", c.batch, "sequences an update, over all workers");
  f.add("micro-batch", c.micro_batch,
        "at most so many sequences at once in a worker (0: what suits the cache)");
  f.add("precision", c.precision,
        "of matmuls: float32 by OpenBLAS; the others of bf16 products by AMX or AVX512-BF16",
        {"float32", "split3", "split2", "bf16"});
  f.add("workers", c.workers, "threads (0: one for each processor that it may use)");
  f.add("seed", c.seed, "of weights, data order and dropout");
  f.add("optimiser", c.optimiser.rule, "optimiser", Registry<OptimiserRule>::names());
  f.add("groups", c.optimiser.groups,
        "parameters with a rule, lr or weight-decay of their own: 'head lr=1e-3; blocks.*.attn.* "
        "optimiser=muon'");
  f.add("lr", c.schedule.peak, "learning rate after the warm-up");
  f.add("schedule", c.schedule.name, "learning rate over time", Registry<Schedule>::names());
  f.add("warmup", c.schedule.warmup, "updates of linear warm-up");
  f.add("warmup-start", c.schedule.warmup_start, "learning rate of the first update of the warm-up");
  f.add("weight-decay", c.optimiser.weight_decay, "decoupled weight decay");
  f.add("decay", c.optimiser.decay, "which parameters decay", decay_groups());
  f.add("clip", c.clip, "largest norm of the gradient (0: no clipping)");
  f.add("label-smoothing", c.label_smoothing, "share of the target spread over all classes");
  f.add("overfit-one-batch", c.overfit_one_batch, "train on one batch only, to debug a layer");

  f.group = "Run";
  f.add("name", c.name, "the run's folder below --runs (default: after the preset)");
  f.add("runs", c.runs, "where the folders of runs stand");
  f.add("log-every", c.log_every, "updates between lines of metrics.jsonl");
  f.add("eval-every", c.eval_every, "updates between validations (0: only at the end)");
  f.add(
      "eval-tokens", c.eval_tokens,
      "held-out tokens that a validation scores, spread over the text: a number, all, or auto (what takes a "
      "tenth of the time, 250,000 at least); at the end all are");
  f.add("checkpoint-every", c.checkpoint_every, "updates between checkpoints");
  f.add("patience", c.patience, "stop after so many validations without a new best (0: never)");
  f.add("probe", c.probe, "probes to read, with commas and * (train --list-probes names them)");
  f.add("every", c.every, "updates between readings of probes");
  f.add("probe-sequences", c.probe_sequences, "validation windows that probes look at then");
  f.add("probe-windows", c.probe_windows,
        "the same at each validation and at the end: a number, all, or auto (one for each 25 that are "
        "trained on "
        "between two validations)");
  f.add("sample-tokens", c.sample_tokens, "how many tokens to write at the end");

  // What siblings declare, under a heading for each part.
  ModelConfig& m = c.model;
  using Names = std::vector<std::string>;
  f.add_options<DataSource>(
      "data", [&c] { return Names{source_name(c.data)}; }, c.options);
  f.add_options<TrainWindows>(
      "windows", [&c] { return Names{c.windows}; }, c.options);
  f.add_options<Block>(
      "block", [&m] { return Names{m.block}; }, m.options);
  f.add_options<Attention>(
      "attention", [&m] { return Names{m.attention}; }, m.options);
  f.add_options<FeedForward>(
      "feed-forward", [&m] { return Names{m.feed_forward}; }, m.options);
  f.add_options<Norm>(
      "norm",
      [&m] {
        return Names{m.norm, m.final_norm};
      },
      m.options);
  f.add_options<Positions>(
      "positions", [&m] { return Names{m.positions}; }, m.options);
  f.add_options<Initialisation>(
      "init", [&m] { return Names{m.initialisation}; }, m.options);
  f.add_options<Regulariser>(
      "regulariser", [&m] { return Names{m.regulariser}; }, m.options);
  f.add_options<OptimiserRule>(
      "optimiser", [&c] { return Names{c.optimiser.rule}; }, c.options);
  f.add_options<Schedule>(
      "schedule", [&c] { return Names{c.schedule.name}; }, c.options);
  return f;
}

namespace {

constexpr Index largest_size = std::numeric_limits<std::int32_t>::max();  // two of them multiply within Index
constexpr std::size_t longest_name = 200;  // file systems take 255, and endings are put behind it

// The number that the text is, 0 if it is none.
Index positive_number(const std::string& text) {
  Index number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number > 0 ? number : 0;
}

// The name becomes a folder's, which must lie where --runs says, and be seen there.
void check_name(const std::string& name) {
  const auto control = [](char byte) { return static_cast<unsigned char>(byte) < 0x20 || byte == 0x7F; };
  if (name.size() <= longest_name && name.find('/') == name.npos && name.find('\\') == name.npos &&
      !name.starts_with('.') && std::none_of(name.begin(), name.end(), control))
    return;
  fail("--name", in_quotes(name),
       "at most " + std::to_string(longest_name) + " bytes without / and \\ and without a dot in front",
       "--runs says where the folder stands");
}

}  // namespace

Index probe_windows(const Config& c, Index windows) {
  const Index updates = c.eval_every > 0 ? std::min(c.eval_every, c.steps) : c.steps;
  Index wanted = positive_number(c.probe_windows);
  if (c.probe_windows == "all") wanted = windows;
  if (c.probe_windows == "auto") {
    const double trained_on =
        static_cast<double>(updates) * static_cast<double>(c.batch);  // may not fit Index
    wanted = std::max(c.probe_sequences, static_cast<Index>(std::min(trained_on / 25, 1e18)));
  }
  return std::min(wanted, windows);
}

Index eval_tokens(const Config& c, Index held_out) {
  if (c.eval_tokens == "all") return held_out;
  if (c.eval_tokens != "auto") return std::min(positive_number(c.eval_tokens), held_out);
  const double updates = static_cast<double>(c.eval_every > 0 ? std::min(c.eval_every, c.steps) : c.steps);
  const double trained = updates * static_cast<double>(c.batch) * static_cast<double>(c.model.context);
  const double wanted = std::max(250'000.0, 0.3 * trained);
  return wanted < static_cast<double>(held_out) ? static_cast<Index>(wanted) : held_out;
}

void check(const Config& c) {
  Config texts = c;
  for (const Field& field : fields(texts).list)
    if (field.is_text && !is_utf8(field.get()))
      fail("--" + field.name, in_quotes(field.get()), "text in UTF-8");
  check_name(c.name);
  const auto at_most = [](const char* name, Index value, Index most) {
    if (value > most)
      fail(std::string("--") + name, std::to_string(value), "at most " + std::to_string(most));
  };
  for (const auto& [name, size] : {std::pair{"batch", c.batch},
                                   {"context", c.model.context},
                                   {"layers", c.model.layers},
                                   {"heads", c.model.heads},
                                   {"channels", c.model.channels},
                                   {"ffn", c.model.ffn},
                                   {"micro-batch", c.micro_batch},
                                   {"probe-sequences", c.probe_sequences}})
    at_most(name, size, largest_size);
  at_most("workers", c.workers, 4096);
  const auto at_least = [](const char* name, double value, double least) {
    if (!(value >= least))
      fail(std::string("--") + name, number_text(value), "at least " + number_text(least));
  };
  data_source(c.data, c.options);
  at_least("steps", static_cast<double>(c.steps), 1);
  at_least("batch", static_cast<double>(c.batch), 1);
  at_least("micro-batch", static_cast<double>(c.micro_batch), 0);
  at_least("workers", static_cast<double>(c.workers), 0);
  at_least("lr", c.schedule.peak, 0);
  at_least("warmup", static_cast<double>(c.schedule.warmup), 0);
  at_least("warmup-start", c.schedule.warmup_start, 0);
  at_least("clip", c.clip, 0);
  at_least("log-every", static_cast<double>(c.log_every), 1);
  at_least("eval-every", static_cast<double>(c.eval_every), 0);
  at_least("checkpoint-every", static_cast<double>(c.checkpoint_every), 1);
  at_least("every", static_cast<double>(c.every), 1);
  at_least("probe-sequences", static_cast<double>(c.probe_sequences), 1);
  if (c.probe_windows != "all" && c.probe_windows != "auto" && positive_number(c.probe_windows) == 0)
    fail("--probe-windows", in_quotes(c.probe_windows), "a number of windows, all, or auto");
  if (c.eval_tokens != "all" && c.eval_tokens != "auto" && positive_number(c.eval_tokens) == 0)
    fail("--eval-tokens", in_quotes(c.eval_tokens), "a number of tokens, all, or auto");
  at_least("patience", static_cast<double>(c.patience), 0);
  at_least("sample-tokens", static_cast<double>(c.sample_tokens), 0);
  if (!(c.label_smoothing >= 0 && c.label_smoothing < 1)) {
    fail("--label-smoothing", number_text(c.label_smoothing), "0 <= s < 1");
  }
  // Their bounds may depend on which sibling is chosen, and so on what was set after them.
  Config copy = c;
  for (const Field& field : fields(copy).list)
    if (field.sibling && field.sibling->chosen()) field.set(field.get());
  // Who chooses a regulariser wants something of it. (Who says --strength 0 in so many words may have it.)
  const std::string why = idle_reason(c, "regulariser");
  const auto& options = Registry<Regulariser>::find(c.model.regulariser).options;
  const bool on_purpose = std::any_of(options.begin(), options.end(), [&](const Declaration& option) {
    const std::string* set = c.model.options.find(option.name);
    return set && *set == option.usual;
  });
  if (!why.empty() && !on_purpose)
    fail("--regulariser " + c.model.regulariser + " would do nothing: " + why, "", "", "as --strength 1e-4");
  ModelConfig model = c.model;
  model.vocab = 2;  // known only once the data is read
  check(model);
}

namespace {

// "feed-forward is swiglu" where that sibling ignores the option, else "".
template <class Part>
std::string why_ignored(const std::string& part, const std::string& chosen, const std::string& option) {
  const auto& ignores = Registry<Part>::find(chosen).ignores;
  return std::ranges::count(ignores, option) > 0 ? part + " is " + chosen : std::string();
}

}  // namespace

std::string idle_reason(const Config& c, const std::string& option) {
  Config copy = c;
  const FieldList all = fields(copy);
  const Field* field = all.find(option);
  if (field && field->sibling) return field->sibling->idle();
  if (option == "regulariser") {
    const auto& sibling = Registry<Regulariser>::find(c.model.regulariser);
    return sibling.idle ? sibling.idle(c.model.options) : std::string();
  }
  const ModelConfig& m = c.model;
  for (const std::string& why : {why_ignored<Block>("block", m.block, option),
                                 why_ignored<Attention>("attention", m.attention, option),
                                 why_ignored<FeedForward>("feed-forward", m.feed_forward, option),
                                 why_ignored<Positions>("positions", m.positions, option)})
    if (!why.empty()) return why;
  if (option == "warmup-start" && c.schedule.warmup == 0) return "warmup is 0";
  if (option == "decay" && c.optimiser.weight_decay == 0) return "weight-decay is 0";
  return "";
}

Config without_idle(const Config& config) {
  Config result = config, defaults;
  const FieldList to = fields(result);
  // Each reason is looked up in what was given: one idle option set back must not make another one act.
  for (const Field& field : fields(defaults).list) {
    if (idle_reason(config, field.name).empty()) continue;
    if (field.sibling)
      to.find(field.name)->sibling->unset();
    else
      to.set(field.name, field.get());
  }
  return result;
}

bool is_former_option(const std::string& name) { return name == "matmul"; }

std::string to_json(const Config& config, const std::vector<std::pair<std::string, std::string>>& more) {
  nlohmann::ordered_json json;
  json["preset"] = config.preset;
  Config copy = config;
  for (const Field& field : fields(copy).list) {
    // Options of siblings that are not chosen are left out, unless somebody set them.
    if (field.sibling && !field.sibling->chosen() && !field.sibling->set()) continue;
    if (field.is_text)
      json[field.name] = field.get();
    else
      json[field.name] = parse_json(field.get(), "--" + field.name);
  }
  for (const auto& [key, value] : more) json[key] = parse_json(value, key);
  return json.dump(2) + "\n";
}

void from_json(Config& config, const std::string& text, const std::vector<std::string>& ignore) {
  const auto json = parse_json(text, "config", JsonBy::hand);
  if (!json.is_object()) fail("config", "text that is not a JSON object", "{\"layers\": 4, ...}");
  if (json.contains("preset")) {
    if (!json["preset"].is_string()) fail("config: preset", json["preset"].dump(), "a name");
    apply_preset(config, json["preset"].get<std::string>());
  }
  const FieldList all = fields(config);
  for (const auto& [key, value] : json.items()) {
    if (is_former_option(key)) continue;
    if (key == "preset" || std::find(ignore.begin(), ignore.end(), key) != ignore.end()) continue;
    all.set(key, value.is_string() ? value.get<std::string>() : value.dump());
  }
}

}  // namespace ef
