// What the programs share in letting a model write, and in telling how well it does.
#pragma once
#include <functional>
#include <string>

#include "data/tokenizer.h"
#include "models/sampling.h"
#include "train/trainer.h"

namespace ef {

// What a model wrote.
struct Written {
  std::string text;  // the prompt, and what was added
  Generated tokens;  // and how they were computed
  double seconds = 0;
  Index count() const { return tokens.remembered + tokens.anew; }
};

struct Writing {
  std::string prompt = "";  // empty: the beginning of a document
  Index tokens = 0;         // at most
  Sampling sampling = {};
  std::uint64_t seed = 1;
  std::string stop = "";  // it ends where it has written this; empty: nowhere
};

// documents: whether the tokenizer's first input separates independent documents. show(text) is called with
// each new piece of text, the prompt first.
Written write_text(const Transformer& model, Tape& tape, const Tokenizer& tokenizer, bool documents,
                   const Writing& writing, const std::function<void(const std::string&)>& show = {});

// "loss 0.3812 +- 0.0021  floor 0.3520  excess 0.0292  ppl 1.46"
std::string describe(const Evaluation& evaluation);

// "loss 6.8722  ppl 965.09  (each token by its share of the training text, without a model)"; see
// unigram_nats.
std::string describe_baseline(double nats);

}  // namespace ef
