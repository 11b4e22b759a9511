// A decoder-only transformer, to be read from top to bottom.
//
// It turns a row of token ids into a guess about each next token: a vector of V logits a position. All
// positions are worked at once; a position sees itself and what stands before it, never what comes after. The
// letters: B sequences, T tokens, C channels, H heads, D = C / H, V vocabulary.
//
// What is virtual here has siblings (other norms, other attentions, ...), each a small struct like those
// below, picked by name in ModelConfig. No forward asks a flag which of them it is.
#pragma once
#include <cmath>
#include <memory>
#include <span>
#include <vector>

#include "engine/ops.h"
#include "engine/writing.h"
#include "models/config.h"
#include "models/layers.h"
#include "models/memory.h"
#include "models/points.h"
#include "models/qk.h"
#include "models/registry.h"

namespace ef {

// ---- Attention: tokens look at each other

// [B, T, C] -> [B, T, C].  Siblings: softmax, and those of models/attention/.
struct Attention {
  virtual ~Attention() = default;
  static constexpr const char* kind = "attention";
  using Factory = ModelFactory<Attention>;
  virtual Tensor forward(const Tensor& x) const = 0;
  // The same for tokens that follow those of `past`, which is added to: many, where there are none yet, or
  // one: [1, n, C] -> [1, n, C]. For writing: each token is computed once.
  virtual Tensor forward_after(const Tensor& x, Past& past) const;
  virtual bool remembers() const { return false; }  // whether it has forward_after()
  // The query-key products of its heads, from which spectra are read and by which they are regularised.
  virtual std::vector<QKProduct> qk() const = 0;
  // Called once when all weights have been drawn, for starts that need several weights at once.
  virtual void start(const Random&) {}
  // Called once before each update, on one thread: the only place where state may move.
  virtual void prepare() {}
};

// Each token asks with a query, offers a key, and gives a value. In each head of D channels, token i mixes
// the values of the tokens t <= i by softmax_t(<query_i, key_t> / sqrt(D)); the heads' outputs, side by side,
// are mixed again.
struct SoftmaxAttention : Attention {
  Linear query, key, value, out;
  const FusedOps& ops;
  Index heads;
  double scale;
  // Where a probe may look in. Logits are what enters the softmax, whatever the layer does to them before:
  // [B, H, T, T], of which row n has n. A layer without logits says so: see_logits.none("why"). z is the mix
  // of the heads before `out`, side by side: [B, T, C], as q, k and v are.
  Point see_q, see_k, see_v, see_logits, see_pattern, see_z;

  SoftmaxAttention(const Builder& b, const ModelConfig& c)
      : query(b / "q", c.channels, c.channels, Role::attention_in, c),
        key(b / "k", c.channels, c.channels, Role::attention_in, c),
        value(b / "v", c.channels, c.channels, Role::attention_in, c),
        out(b / "out", c.channels, c.channels, Role::attention_out, c),
        ops(ops_of(c)),
        heads(c.heads),
        scale(1 / std::sqrt(static_cast<double>(c.channels / c.heads))),
        see_q(b / "q"),
        see_k(b / "k"),
        see_v(b / "v"),
        see_logits(b / "logits"),
        see_pattern(b / "pattern"),
        see_z(b / "z") {}

  // What siblings do to queries and keys: [B, T, C], of tokens that stand at place `first` and after.
  virtual Tensor queries(const Tensor& x, Index /*first*/) const { return query.forward(x); }
  virtual Tensor keys(const Tensor& x, Index /*first*/) const { return key.forward(x); }
  // The values as the pattern mixes them, [B, n, C]: of n queries, the last of T tokens.
  virtual Tensor mix(const Tensor& q, const Tensor& k, const Tensor& v) const {
    if (q.shape[1] < k.shape[1]) return attention_of_last(q, k, v, heads, scale);
    return ops.attention(q, k, v, heads, scale, seen(q));
  }

  Tensor forward(const Tensor& x) const override {
    const Tensor q = see_q(queries(x, 0)), k = see_k(keys(x, 0)), v = see_v(value.forward(x));
    return out.forward(see_z(mix(q, k, v)));
  }
  // A sibling that overrides forward() overrides both of these, too, or says that it does not remember.
  Tensor forward_after(const Tensor& x, Past& past) const override {
    const Tensor q = queries(x, past.tokens());
    past.add(keys(x, past.tokens()), value.forward(x));
    return out.forward(mix(q, past.keys(), past.values()));
  }
  bool remembers() const override { return true; }
  // Where the fused op shall put what is inside, if somebody looks.
  AttentionSeen seen(const Tensor& x) const {
    const Shape shape{x.shape[0], heads, x.shape[1], x.shape[1]};
    return {see_logits.place(shape), see_pattern.place(shape)};
  }

  std::vector<QKProduct> qk() const override { return qk_products(query, key, heads, scale); }
};

// ---- Feed-forward: each token thinks for itself

// [B, T, C] -> [B, T, C], place by place.  Siblings: mlp, and those of models/feed_forward/. Whichever it is,
// its parameters stand below blocks.N.mlp: files name them so.
struct FeedForward {
  virtual ~FeedForward() = default;
  static constexpr const char* kind = "feed-forward";
  using Factory = ModelFactory<FeedForward>;
  virtual Tensor forward(const Tensor& x) const = 0;
};

// A multi-layer perceptron of one hidden layer: down(act(up(x))).
struct MLP : FeedForward {
  Linear up, down;
  const FusedOps& ops;
  const Activation& act;

  MLP(const Builder& b, const ModelConfig& c)
      : up(b / "up", c.channels, c.ffn, Role::feed_forward_in, c),
        down(b / "down", c.ffn, c.channels, Role::feed_forward_out, c),
        ops(ops_of(c)),
        act(activation(c.activation)) {}

  Tensor forward(const Tensor& x) const override {
    return ops.feed_forward(x, up.weight, up.bias, down.weight, down.bias, act);
  }
};

// ---- Block: one layer of the transformer

// Both parts add to the residual stream x, [B, T, C] -> [B, T, C].  Siblings: pre-norm, post-norm, and those
// of models/blocks/.
struct Block {
  std::string path, attention_path, feed_forward_path;  // for messages and traces
  std::unique_ptr<Attention> attention;
  std::unique_ptr<FeedForward> feed_forward;
  double p;  // dropout
  Point see_attn_in, see_attn_out, see_mid, see_mlp_out, see_post;

  static constexpr const char* kind = "block";
  using Factory = ModelFactory<Block>;
  Block(const Builder& b, const ModelConfig& c)
      : path(b.path()),
        attention_path((b / "attn").path()),
        feed_forward_path((b / "mlp").path()),
        attention(Registry<Attention>::make(c.attention, b / "attn", c)),
        feed_forward(Registry<FeedForward>::make(c.feed_forward, b / "mlp", c)),
        p(c.dropout),
        see_attn_in(b / "attn_in"),
        see_attn_out(b / "attn_out"),
        see_mid(b / "resid_mid"),
        see_mlp_out(b / "mlp_out"),
        see_post(b / "resid_post") {}
  virtual ~Block() = default;
  virtual Tensor forward(const Tensor& x) const = 0;

  // What either part adds to the stream, of what it reads.
  Tensor attend(const Tensor& x) const {
    const Tape::Part part(attention_path);
    if (Memory* memory = Memory::current()) return attention->forward_after(x, memory->of(path));
    return see_attn_out(attention->forward(see_attn_in(x)));
  }
  Tensor think(const Tensor& x) const {
    const Tape::Part part(feed_forward_path);
    return see_mlp_out(feed_forward->forward(x));
  }
};

// A block that has a norm for each part.
struct TwoNormBlock : Block {
  std::unique_ptr<Norm> attention_norm, feed_forward_norm;
  TwoNormBlock(const Builder& b, const ModelConfig& c)
      : Block(b, c),
        attention_norm(Registry<Norm>::make(c.norm, b / "attn_norm", c)),
        feed_forward_norm(Registry<Norm>::make(c.norm, b / "mlp_norm", c)) {}
};

// GPT-2: each part reads a normalised copy of the stream; the stream itself runs through untouched.
struct PreNormBlock : TwoNormBlock {
  using TwoNormBlock::TwoNormBlock;
  Tensor forward(const Tensor& resid_pre) const override {
    const Tensor attended = attend(attention_norm->forward(resid_pre));
    const Tensor resid_mid = see_mid(add(resid_pre, dropout(attended, p)));
    const Tensor thought = think(feed_forward_norm->forward(resid_mid));
    return see_post(add(resid_mid, dropout(thought, p)));
  }
};

// The original transformer, and fairseq: the stream itself is normalised after each addition.
struct PostNormBlock : TwoNormBlock {
  using TwoNormBlock::TwoNormBlock;
  Tensor forward(const Tensor& resid_pre) const override {
    const Tensor attended = attend(resid_pre);
    const Tensor resid_mid = see_mid(attention_norm->forward(add(resid_pre, dropout(attended, p))));
    const Tensor thought = think(resid_mid);
    return see_post(feed_forward_norm->forward(add(resid_mid, dropout(thought, p))));
  }
};

// ---- The transformer

struct Transformer {
  ModelConfig config;
  Tensor tokens;  // [V, C]: a vector for each token
  std::unique_ptr<Positions> positions;
  std::vector<std::unique_ptr<Block>> blocks;
  std::unique_ptr<Norm> final_norm;
  Tensor unembed;  // [V, C]: a direction for each token that may come next; the token table itself if tied
  std::string unembed_path;
  Point see_hidden, see_logits;

  // Declares (or binds) all parameters through the builder. Error if the configuration makes no sense.
  Transformer(const Builder& b, const ModelConfig& config);

  // The query-key products of all heads of all layers.
  std::vector<QKProduct> qk() const;

  // ids: B * T token ids, T <= context, else Error. They must outlive the backward.
  // The stream after the last block, normalised: [B, T, C]. (Within a Memory the tokens follow those that it
  // knows, and it knows these, too.)
  Tensor hidden(std::span<const std::int32_t> ids, Index sequences) const {
    const Index all = std::ssize(ids), length = sequences > 0 ? all / sequences : 0;
    Memory* memory = Memory::current();
    const Index first = memory ? memory->tokens() : 0;
    if (sequences < 1 || sequences * length != all || first + length > config.context)
      fail("transformer: ids", std::to_string(all) + " in " + std::to_string(sequences) + " sequences",
           "sequences of one length, " + std::to_string(config.context) + " tokens at most");
    Tensor x = embedding(tokens, ids, {sequences, length});
    x = dropout(positions->forward(x, first), config.dropout);
    for (const auto& block : blocks) {
      const Tape::Part part(block->path);
      x = block->forward(x);
    }
    if (memory) memory->passed(length);
    return see_hidden(final_norm->forward(x));
  }
  bool remembers() const;  // whether all of its attentions do

  // The guess about each next token, as logits [B, T, V].
  Tensor forward(std::span<const std::int32_t> ids, Index sequences) const {
    return logits(hidden(ids, sequences));
  }
  // The same, of what hidden() gave.
  Tensor logits(const Tensor& hidden) const { return see_logits(linear(hidden, unembed, {})); }

  // How wrong the guess is, [1]: cross_entropy(forward(ids), targets), without keeping all logits.
  Tensor loss(std::span<const std::int32_t> ids, Index sequences, std::span<const std::int32_t> targets,
              const CrossEntropy& options = {}) const {
    const Tensor x = hidden(ids, sequences);
    const Tape::Part part(unembed_path);
    return ops_of(config).head(x, unembed, targets, options);
  }
};

// What spectra are of in this model, as QKProduct::describe(): "" if no attention has a query-key product.
std::string describe_qk(const Transformer& model);

// Errors name the dial: sizes below 1, channels not divisible by heads, dropout outside [0, 1). (Unknown
// names are found by the constructor.)
void check(const ModelConfig& config);

}  // namespace ef
