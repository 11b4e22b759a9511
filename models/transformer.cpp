#include "models/transformer.h"

#include <algorithm>

#include "engine/error.h"

namespace ef {

thread_local Listener* Listener::current_ = nullptr;
thread_local Memory* Memory::current_ = nullptr;

namespace {

const Registered<Attention, SoftmaxAttention> softmax_attention("softmax", "scaled dot products and softmax");
const Registered<FeedForward, MLP> mlp("mlp", "one hidden layer with --activation");
const Registered<Block, PreNormBlock> pre_norm("pre-norm", "normalises what each part reads (GPT-2)");
const Registered<Block, PostNormBlock> post_norm("post-norm",
                                                 "normalises the stream after each part (fairseq)");

ModelConfig checked(const ModelConfig& config) {
  check(config);
  return config;
}

}  // namespace

void check(const ModelConfig& c) {
  const auto at_least_1 = [](const char* what, Index n) {
    if (n < 1) fail(what, std::to_string(n), "at least 1");
  };
  if (c.vocab < 2) fail("vocabulary", std::to_string(c.vocab) + " tokens", "at least 2");
  at_least_1("context", c.context);
  at_least_1("layers", c.layers);
  at_least_1("heads", c.heads);
  at_least_1("channels", c.channels);
  at_least_1("ffn", c.ffn);
  if (c.channels % c.heads != 0) {
    fail("channels", std::to_string(c.channels), "a multiple of the " + std::to_string(c.heads) + " heads");
  }
  if (!(c.dropout >= 0 && c.dropout < 1)) fail("dropout", std::to_string(c.dropout), "0 <= dropout < 1");
}

Transformer::Transformer(const Builder& b, const ModelConfig& c)

    : config(checked(c)),
      unembed_path((b / "unembed").path()),
      see_hidden(b / "hidden"),
      see_logits(b / "logits") {
  const auto init = Registry<Initialisation>::make(c.initialisation, b, c);
  tokens = (b / "tokens")
               .parameter_of(Parameter::Kind::embedding, "weight", {c.vocab, c.channels},
                             init->weight(Role::tokens, c.channels));
  positions = Registry<Positions>::make(c.positions, b / "positions", c);
  for (Index layer = 0; layer < c.layers; ++layer) {
    blocks.push_back(Registry<Block>::make(c.block, b / "blocks" / layer, c));
  }
  final_norm = Registry<Norm>::make(c.final_norm, b / "final_norm", c);
  unembed = c.tied ? tokens
                   : (b / "unembed")
                         .parameter_of(Parameter::Kind::head, "weight", {c.vocab, c.channels},
                                       init->weight(Role::unembed, c.channels));
}

Tensor Attention::forward_after(const Tensor&, Past&) const {
  fail("this attention does not remember the tokens before", "", "one whose remembers() is true");
}

bool Transformer::remembers() const {
  return std::all_of(blocks.begin(), blocks.end(),
                     [](const auto& block) { return block->attention->remembers(); });
}

void Past::add(const Tensor& keys, const Tensor& values) {
  check_shape(keys.shape.rank == 3 && keys.shape[0] == 1, "Past", "keys", keys, "[1, n, C]");
  check_shape(values.shape.rank == 3 && values.shape[1] == keys.shape[1], "Past", "values", values,
              "[1, n, C], as many as keys");
  keys_.insert(keys_.end(), keys.data, keys.data + keys.size());
  values_.insert(values_.end(), values.data, values.data + values.size());
  key_channels_ = keys.shape[2];
  value_channels_ = values.shape[2];
  tokens_ += keys.shape[1];
}

Tensor Past::keys() const {
  return {{1, tokens_, key_channels_}, const_cast<Real*>(keys_.data()), nullptr, "keys"};
}
Tensor Past::values() const {
  return {{1, tokens_, value_channels_}, const_cast<Real*>(values_.data()), nullptr, "values"};
}

std::vector<QKProduct> Transformer::qk() const {
  std::vector<QKProduct> all;
  for (std::size_t layer = 0; layer < blocks.size(); ++layer) {
    for (QKProduct product : blocks[layer]->attention->qk()) {
      product.layer = static_cast<Index>(layer);
      all.push_back(product);
    }
  }
  return all;
}

std::string describe_qk(const Transformer& model) {
  std::string text;
  for (const QKProduct& product : model.qk()) {
    const std::string one = product.describe();
    if (text.find(one) == std::string::npos) text += (text.empty() ? "" : "; ") + one;
  }
  return text;
}

}  // namespace ef
