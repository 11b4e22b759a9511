// What the programs share in letting a model write, and in telling how well it does.
#pragma once
#include <functional>
#include <string>

#include "data/tokenizer.h"
#include "models/sampling.h"
#include "train/trainer.h"

namespace ef {

// The prompt (empty: the beginning of a document) and what the model adds to it. documents: whether the
// tokenizer's first input separates independent documents. show(text) is called with each new piece of text,
// the prompt first.
std::string write_text(const Transformer& model, Tape& tape, const Tokenizer& tokenizer, bool documents,
                       const std::string& prompt, Index tokens, const Sampling& sampling, std::uint64_t seed,
                       const std::function<void(const std::string&)>& show = {});

// "loss 0.3812  floor 0.3520  excess 0.0292  ppl 1.46"
std::string describe(const Evaluation& evaluation);

// "loss 6.8722  ppl 965.09  (each token by its share of the training text, without a model)"; see
// unigram_nats.
std::string describe_baseline(double nats);

}  // namespace ef
