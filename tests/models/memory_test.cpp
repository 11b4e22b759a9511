// Writing with a memory: what is computed once per token equals the forward over all tokens.
#include "models/memory.h"

#include "engine/writing.h"
#include "models/sampling.h"
#include "models/transformer.h"
#include "tests/helpers.h"

using namespace ef;

namespace {

struct Writer {
  ModelConfig config;
  Parameters parameters;
  std::unique_ptr<Transformer> model;
  Tape tape;

  explicit Writer(const ModelConfig& c) : config(c) {
    config.vocab = 11;
    config.context = 40;
    config.layers = config.heads = 2;
    config.channels = 16;
    config.ffn = 24;
    Transformer declare(Builder(parameters, nullptr), config);
    parameters.allocate();
    parameters.initialise(5);
    for (const Parameter& p : parameters.list())  // so that attention is not even
      for (Index i = 0; p.shape.rank == 2 && i < p.shape.size(); ++i) parameters.values()[p.offset + i] *= 8;
    model = std::make_unique<Transformer>(Builder(parameters, nullptr), config);
    Index layer = 0;
    for (const auto& block : model->blocks)
      block->attention->start({1, stream_of(Purpose::initialise, 0), static_cast<std::uint64_t>(++layer)});
    tape.recording = tape.settings.training = false;
  }
  // The last row of logits.
  std::vector<Real> last(const Tensor& logits) const {
    return {logits.data + logits.size() - config.vocab, logits.data + logits.size()};
  }
  // The largest deviation of the remembered logits from those of whole forwards, over 40 tokens of which the
  // first `prompt` come at once; relative to the largest logit.
  double deviation(Index prompt) {
    std::vector<std::int32_t> ids;
    for (Index i = 0; i < config.context; ++i)
      ids.push_back(static_cast<std::int32_t>((i * i + 3 * i + i / 5) % config.vocab));
    const Tape::Scope scope(tape);
    Memory memory;
    double worst = 0, size = 0;
    for (Index known = 0; known < config.context; known += known == 0 ? prompt : 1) {
      const Index now = known == 0 ? prompt : known + 1;
      const std::span all(ids.data(), static_cast<std::size_t>(now));
      tape.reset();
      const std::vector<Real> full = last(model->forward(all, 1));
      const Memory::Scope within(&memory);
      const std::vector<Real> remembered =
          last(model->forward(all.subspan(static_cast<std::size_t>(known)), 1));
      CHECK(memory.tokens() == now);
      worst = std::max(worst, distance(full, remembered));
      for (const Real x : full) size = std::max(size, std::fabs(static_cast<double>(x)));
      if (known == 0 && prompt == config.context) break;
    }
    return worst / size;
  }
};

}  // namespace

TEST_CASE("every attention, with every kind of positions: token by token as all at once", "[memory]") {
  Index remembering = 0;
  for (const std::string& attention : Registry<Attention>::names()) {
    for (const std::string& positions : Registry<Positions>::names()) {
      for (const bool plain : {false, true}) {
        INFO(attention << ", positions " << positions << (plain ? ", plain" : ""));
        ModelConfig config;
        config.attention = attention;
        config.positions = positions;
        config.plain = plain;
        config.options.set("window-size", 5);
        Writer writer(config);
        if (!writer.model->remembers()) continue;
        ++remembering;
        for (const Index prompt : {1, 7, 40}) CHECK(writer.deviation(prompt) < 2e-5);
      }
    }
  }
  CHECK(remembering >= 60);  // those of this project do
}

TEST_CASE("every block remembers", "[memory]") {
  for (const std::string& block : Registry<Block>::names()) {
    INFO(block);
    ModelConfig config;
    config.block = block;
    Writer writer(config);
    CHECK(writer.deviation(3) < 2e-5);
  }
}

TEST_CASE("a memory ends where the context does", "[memory]") {
  Writer writer({});
  const Tape::Scope scope(writer.tape);
  Memory memory;
  const Memory::Scope within(&memory);
  const std::vector<std::int32_t> ids(40, 1);
  writer.model->forward(ids, 1);
  check_throws([&] { writer.model->forward({ids.data(), 1}, 1); }, {"transformer: ids", "40 tokens at most"});
  memory.forget();
  CHECK(memory.tokens() == 0);
  CHECK_NOTHROW(writer.model->forward({ids.data(), 1}, 1));
}

TEST_CASE("what is written is what whole forwards would have written", "[memory][sampling]") {
  for (const std::int32_t boundary : {-1, 3}) {
    Writer writer({});
    std::vector<std::int32_t> ids = {1, 2};
    const Generated told = generate(*writer.model, writer.tape, ids, 150, {1, 0, 1}, 7, boundary,
                                    [](std::int32_t) { return true; });
    REQUIRE(ids.size() == 152);
    CHECK(told.why_anew == "");
    CHECK(told.remembered + told.anew == 150);
    CHECK(told.remembered > 100);
    // The same by the rule as it is written down: windows of at most 40, that begin at a boundary when they
    // move, or else at the middle of the last 40.
    std::vector<std::int32_t> again = {1, 2};
    const Random random{7, stream_of(Purpose::sample), 0};
    const Tape::Scope scope(writer.tape);
    std::size_t begin = 0;
    for (std::uint64_t i = 0; i < 150; ++i) {
      if (again.size() - begin > 40) {
        begin = again.size() - 40;
        std::size_t cut = begin;
        while (cut < again.size() && again[cut] != boundary) ++cut;
        begin = cut < again.size() ? cut : begin + 20;
      }
      writer.tape.reset();
      const std::vector<Real> row = writer.last(writer.model->forward(std::span(again).subspan(begin), 1));
      again.push_back(sample_token(row, {1, 0, 1}, random.uniform(i)));
    }
    CHECK(ids == again);
  }
}

TEST_CASE("writing ends where it is told to", "[sampling]") {
  Writer writer({});
  std::vector<std::int32_t> ids = {1};
  Index seen = 0;
  generate(*writer.model, writer.tape, ids, 30, {1, 0, 1}, 1, -1, [&](std::int32_t) { return ++seen < 5; });
  CHECK(seen == 5);
  CHECK(ids.size() == 6);
}

namespace {

// Remembers, as its base does, but looks only at the last three tokens in its own forward: the base's memory
// is not its own.
struct Forgetful : SoftmaxAttention {
  using SoftmaxAttention::SoftmaxAttention;
  Tensor forward(const Tensor& x) const override {
    const Tensor q = query.forward(x), k = key.forward(x), v = value.forward(x);
    const Tensor logits = ef::scale(matmul(split_heads(q, heads), split_heads(k, heads), false, true), scale);
    const Tensor pattern = softmax(where(window_mask(x.shape[1], 3), logits, unseen));
    return out.forward(merge_heads(matmul(pattern, split_heads(v, heads))));
  }
};

}  // namespace

TEST_CASE("an attention that remembers wrongly is found out, and not believed", "[memory]") {
  Writer writer({});
  Parameters own;
  Transformer declare(Builder(own, nullptr), writer.config);
  own.allocate();
  own.initialise(2);
  for (Index i = 0; i < own.flat_size(); ++i) own.values()[i] *= 8;
  writer.model->blocks[0]->attention =
      std::make_unique<Forgetful>(Builder(own, nullptr) / "blocks" / 0 / "attn", writer.config);
  std::vector<std::int32_t> ids = {1};
  const Generated told =
      generate(*writer.model, writer.tape, ids, 30, {1, 0, 1}, 1, -1, [](std::int32_t) { return true; });
  CHECK(contains(told.why_anew, "remembers wrongly: seen at token"));
  CHECK(told.anew > 20);
}

TEST_CASE("a row of attention alone: as the last of all rows; it has no backward", "[memory]") {
  for (const Index tokens : {1, 2, 17, 33}) {
    Leaf q({1, tokens, 12}, 1), k({1, tokens, 12}, 2), v({1, tokens, 12}, 3);
    Tape tape;
    const Tape::Scope scope(tape);
    tape.recording = false;
    const Tensor all = causal_attention(q.constant(), k.constant(), v.constant(), 3, 0.7, {});
    Tensor last = q.constant();
    last.shape = {1, 1, 12};
    last.data += (tokens - 1) * 12;
    const Tensor one = attention_of_last(last, k.constant(), v.constant(), 3, 0.7);
    CHECK(distance(values_of(one), {all.data + (tokens - 1) * 12, 12}) < 1e-5);
    check_throws([&] { attention_of_last(k.constant(), k.constant(), v.constant(), 5, 1); },
                 {"attention_of_last: shape of q"});
    tape.recording = true;
    check_throws([&] { attention_of_last(last, k.constant(), v.constant(), 3, 0.7); }, {"no backward"});
  }
}

TEST_CASE("the last rows of masks, and of a causal softmax", "[memory]") {
  Tape tape;
  const Tape::Scope scope(tape);
  CHECK(values_of(causal_mask(3, 1)) == std::vector<Real>{1, 1, 1});
  CHECK(values_of(causal_mask(3, 2)) == std::vector<Real>{1, 1, 0, 1, 1, 1});
  CHECK(values_of(window_mask(4, 2, 2)) == std::vector<Real>{0, 1, 1, 0, 0, 0, 1, 1});
  check_throws([] { causal_mask(2, 3); }, {"causal_mask: rows", "at most 2"});
  check_throws([] { window_mask(2, 1, 3); }, {"window_mask: rows", "at most 2"});
  Leaf x({2, 5, 5}, 4);
  const Tensor all = causal_softmax(x.constant());
  const Tensor some = causal_softmax(slice(x.constant(), 1, 3, 2));
  for (Index b = 0; b < 2; ++b) CHECK(distance({some.data + b * 10, 10}, {all.data + b * 25 + 15, 10}) == 0);
}
