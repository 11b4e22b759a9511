// Named settings of all options, to start from.
#include "engine/error.h"
#include "engine/nearest.h"
#include "train/config.h"

namespace ef {
namespace {

// The built-in language, in two minutes on two cores.
void story(Config& c) {
  c.model.context = 240;  // the longest story
  c.model.layers = 2;
  c.model.heads = 4;
  c.model.channels = 128;
  c.model.ffn = 512;
  c.steps = 2000;
  c.batch = 6;
  c.schedule.peak = 2.5e-3;
  c.schedule.warmup = 100;
  c.options.set("beta2", 0.99);
  c.probe = "attn.entropy,attn.map,attn.profile,qk.spectrum,resid.rank,resid.cosine";
  c.sample_tokens = 1000;
}

// GPT-2's architecture, small: Pre-LN, learned positions, GELU. The default of every dial.
void gpt2(Config&) {}

// nanoGPT's example for a CPU: Tiny Shakespeare in characters, 2,000 updates. Its learning rate of 1e-3 is
// small for a model of this size: three times as much ends 0.1 nats lower.
void shakespeare(Config& c) {
  c.data = "data/corpora/tinyshakespeare/input.txt";
  c.model.bias = false;
  c.steps = 2000;
  c.batch = 12;
  c.schedule.peak = 3e-3;
  c.options.set("min-lr", 1e-4);
  c.schedule.warmup = 100;
  c.options.set("beta2", 0.99);
}

// fairseq's transformer_lm as the paper uses it: one layer, one head, Post-LN, 128 channels everywhere,
// WikiText-2.
void paper(Config& c) {
  c.data = "data/corpora/wikitext-2";
  c.options.set("tokens", "words");
  c.windows = "blocks";
  c.model.context = 512;
  c.model.layers = 1;
  c.model.heads = 1;
  c.model.channels = 128;
  c.model.ffn = 128;
  c.model.dropout = 0.1;
  c.model.block = "post-norm";
  c.model.final_norm = "none";
  c.model.positions = "sinusoidal";
  c.model.activation = "relu";
  c.model.initialisation = "fairseq";
  c.steps = 50000;
  c.batch = 64;  // 64 x 512 tokens: fairseq's 2,048 tokens x 16 micro-batches
  c.micro_batch = 4;
  c.optimiser.rule = "fairseq-adam";
  c.options.set("beta2", 0.98);
  c.optimiser.weight_decay = 0.01;
  c.optimiser.decay = "all";
  c.schedule.name = "inverse-sqrt";
  c.schedule.peak = 5e-4;
  c.schedule.warmup = 4000;
  c.schedule.warmup_start = 1e-7;
  c.clip = 0;
  c.log_every = 8;
  c.eval_every = 64;  // an epoch
  c.checkpoint_every = 64;
  c.sample_tokens = 100;
}

// ---- Tasks whose best loss is known, each solved in about a minute on two cores

// A small model, and what shows how it does it.
void task(Config& c, const char* source, Index context) {
  c.data = source;
  c.model.context = context;
  c.model.layers = 2;
  c.model.heads = 4;
  c.model.channels = 64;
  c.model.ffn = 256;
  c.steps = 1500;
  c.batch = 32;
  c.schedule.peak = 3e-3;
  c.schedule.warmup = 100;
  c.options.set("beta2", 0.99);
  c.eval_every = 250;
  c.sample_tokens = 0;
  c.probe = "pred.accuracy,attn.map,attn.previous,attn.induction,attn.entropy,qk.spectrum";
}

void copy(Config& c) { task(c, "copy", 34); }
void reverse(Config& c) { task(c, "reverse", 34); }
void sort(Config& c) { task(c, "sort", 26); }
// For a thousand updates it knows which values are left, and then, within a hundred, which belongs to a key:
// two wide heads find that, four narrow ones do not.
void recall(Config& c) {
  task(c, "recall", 22);
  c.options.set("recall-pairs", 5);
  c.model.heads = 2;
  c.model.channels = 128;
  c.batch = 64;
  c.steps = 2000;
  c.schedule.peak = 1e-3;
}
void brackets(Config& c) { task(c, "brackets", 61); }
void regression(Config& c) { task(c, "regression", 17); }
void markov(Config& c) {
  task(c, "markov", 65);
  c.options.set("markov-in-context", true);
  c.schedule.peak = 1e-2;
  c.steps = 3000;
}
void walk(Config& c) { task(c, "walk", 65); }

// Few pairs, seen again and again: they are known by heart after some 500 updates, while the loss on held-out
// pairs rises; the rule comes after 2,000 and more.
void addition(Config& c) {
  task(c, "addition", 6);
  c.options.set("addition-share", 0.4);
  c.model.layers = 1;
  c.model.channels = 128;
  c.model.ffn = 512;
  c.batch = 512;
  c.steps = 3000;
  c.schedule.peak = 1e-3;
  c.schedule.name = "constant";
  c.optimiser.weight_decay = 0.3;
}

void paper_untied(Config& c) {
  paper(c);
  c.model.tied = false;
}

}  // namespace

const std::vector<Preset>& presets() {
  static const std::vector<Preset> all = {
      {"story", "the built-in language in characters: learns in two minutes", story},
      {"gpt2", "GPT-2's architecture, small: Pre-LN, learned positions, GELU", gpt2},
      {"shakespeare", "Tiny Shakespeare in characters, nanoGPT's settings for a CPU", shakespeare},
      {"paper", "WikiText-2 in words, fairseq's Post-LN transformer_lm, 1 layer, 1 head", paper},
      {"paper-untied", "the same with an output matrix of its own", paper_untied},
      {"copy", "a task: repeat random symbols", copy},
      {"reverse", "a task: repeat them backwards", reverse},
      {"sort", "a task: repeat them in order", sort},
      {"recall", "a task: which value belongs to this key (induction)", recall},
      {"addition", "a task: sums modulo a prime, some pairs held out (grokking)", addition},
      {"brackets", "a task: brackets that close in the right order", brackets},
      {"regression", "a task: linear regression in context", regression},
      {"markov", "a task: a chain of symbols with a table of its own each line", markov},
      {"walk", "a task: random walks", walk},
  };
  return all;
}

void apply_preset(Config& config, const std::string& name) {
  std::vector<std::string> names;
  for (const Preset& preset : presets()) {
    names.push_back(preset.name);
    if (preset.name != name) continue;
    const Config defaults;
    config = defaults;
    config.preset = name;
    preset.apply(config);
    return;
  }
  fail("no preset called " + name, "", "", suggestion(name, names));
}

}  // namespace ef
