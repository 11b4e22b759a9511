// Arena, tape, dropout, what ops say about wrong shapes, and that a step allocates nothing after the first.
#include "engine/tape.h"

#include <cstdint>
#include <functional>
#include <limits>
#include <set>
#include <thread>

#include "engine/ops.h"
#include "tests/helpers.h"

namespace ef {

namespace {

// ---- Arena
// -------------------------------------------------------------------------------------------------

constexpr Index chunk = Index{2} << 20;  // what the arena asks the system for at least, in bytes

TEST_CASE("arena blocks are aligned, apart, and the same after reset", "[arena]") {
  Arena arena;
  const Index sizes[] = {1, 63, 64, 65, 0, 1000, chunk - 64, 3 * chunk, 7, chunk / 2, 5 * chunk};
  std::vector<std::vector<std::byte*>> rounds;
  Index after_first = 0;
  for (int round = 0; round < 4; ++round) {
    std::vector<std::byte*> blocks;
    Index requested = 0;
    for (Index size : sizes) {
      blocks.push_back(arena.allocate<std::byte>(size));
      std::fill_n(blocks.back(), size, std::byte(round));
      requested += size;
      CHECK(reinterpret_cast<std::uintptr_t>(blocks.back()) % 64 == 0);
    }
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j)
        CHECK((blocks[i] >= blocks[j] + sizes[j] || blocks[j] >= blocks[i] + sizes[i]));
    }
    CHECK(arena.bytes_in_use() >= static_cast<std::size_t>(requested));
    CHECK(arena.bytes_peak() == arena.bytes_in_use());
    CHECK(arena.bytes_reserved() >= arena.bytes_in_use());
    if (round == 0) after_first = arena.system_allocations();
    rounds.push_back(blocks);
    arena.reset();
    CHECK(arena.bytes_in_use() == 0);
  }
  CHECK(rounds[1] == rounds[0]);
  CHECK(rounds[2] == rounds[0]);
  CHECK(rounds[3] == rounds[0]);
  CHECK(after_first > 1);
  CHECK(arena.system_allocations() == after_first);
}

TEST_CASE("guard bands catch a write before and after a block, also of one released", "[arena]") {
  const auto damage = [](Index size, Index at, bool released) {
    Arena arena;
    arena.guard(true);
    arena.allocate<unsigned char>(100);
    const Arena::Mark mark = arena.mark();
    arena.allocate<unsigned char>(size)[at] = 1;
    if (released) arena.release(mark);
    arena.allocate<unsigned char>(50);
    return thrown_by([&] { arena.check_guards(); });
  };
  for (bool released : {false, true}) {
    for (Index size : {1, 63, 64, 65, 1000}) {
      CHECK(damage(size, 0, released) == "nothing thrown");
      CHECK(damage(size, size - 1, released) == "nothing thrown");
      CHECK(contains(damage(size, size, released),
                     "a write outside a block of " + std::to_string(size) + " bytes"));
      CHECK(contains(damage(size, -1, released), "a write outside a block"));
      CHECK(contains(damage(size, -64, released), "a write outside a block"));
    }
  }
  Arena arena;  // what was wrong before reset() is forgotten
  arena.guard(true);
  arena.allocate<unsigned char>(10)[10] = 0;
  check_throws([&] { arena.check_guards(); }, {"arena"});
  arena.reset();
  CHECK(thrown_by([&] { arena.check_guards(); }) == "nothing thrown");
}

TEST_CASE("under guard new blocks hold NaN", "[arena]") {
  Arena arena;
  arena.guard(true);
  for (int round = 0; round < 2; ++round) {
    Real* x = arena.allocate<Real>(37);
    for (Index i = 0; i < 37; ++i) {
      CHECK(std::isnan(x[i]));
      x[i] = 1;
    }
    arena.reset();
  }
}

TEST_CASE("mark and release give memory back in order, across chunks", "[arena]") {
  Arena arena;
  arena.allocate<std::byte>(100);
  const std::size_t before = arena.bytes_in_use();
  const Arena::Mark mark = arena.mark();
  std::byte* first = arena.allocate<std::byte>(200);
  arena.allocate<std::byte>(2 * chunk);
  arena.release(mark);
  CHECK(arena.bytes_in_use() == before);
  CHECK(arena.allocate<std::byte>(200) == first);
  CHECK(arena.bytes_peak() > static_cast<std::size_t>(2 * chunk));
  const Index asked = arena.system_allocations();
  {
    Scratch scratch(arena);
    Real* a = scratch.reals(10);
    Real* b = scratch.reals(chunk / 8);
    CHECK(a != b);
  }
  {
    Scratch scratch(arena);
    scratch.reals(10);
    scratch.reals(chunk / 8);
  }
  CHECK(arena.system_allocations() == asked);
}

// ---- Tape
// --------------------------------------------------------------------------------------------------

using Values = std::vector<Real>;

TEST_CASE("gradients of a tensor that is used more than once add up", "[tape]") {
  Leaf x({2}, Values{3, 5});
  Tape tape;
  Tape::Scope scope(tape);
  const Tensor twice = add(x.tensor(), x.tensor());
  const Tensor square = mul(twice, twice);                       // 4 x^2, an intermediate used twice
  const Tensor loss = sum(add(square, mul(twice, x.tensor())));  // + 2 x^2
  CHECK(loss.data[0] == 6 * (9 + 25));
  tape.backward(loss);
  CHECK(x.gradient == Values{12 * 3, 12 * 5});
  // Gradients of parameters are added to, those on the tape are not left over from the first time.
  tape.backward(loss);
  CHECK(x.gradient == Values{24 * 3, 24 * 5});
}

TEST_CASE("backward from any tensor takes its gradient as a seed", "[tape]") {
  Leaf x({3}, Values{1, 2, 3});
  Tape tape;
  Tape::Scope scope(tape);
  const Tensor y = mul(x.tensor(), x.tensor());
  const Tensor later = sum(y);  // not on the way from y to x: adds nothing
  CHECK(static_cast<bool>(later.grad));
  const Values seed = {1, 10, 100}, short_seed = {1, 2};
  tape.backward(y, seed);
  CHECK(x.gradient == Values{2, 40, 600});
  check_throws([&] { tape.backward(y, short_seed); }, {"backward: seed", "got 2 numbers", "expected 3"});
}

TEST_CASE("gradients of activations share memory", "[tape]") {
  const Index n = 1000, layers = 20;
  Leaf x({n}, 1);
  Tape tape;
  Tape::Scope scope(tape);
  Tensor y = scale(x.tensor(), 1);
  for (Index i = 0; i < layers; ++i) y = add(y, scale(mul(gelu(y), silu(y)), Real(0.01)));
  CHECK(tape.gradients().bytes_peak() == 0);  // none before the backward
  tape.backward(sum(y));
  CHECK(tape.gradients().bytes_peak() < 5 * (n + 16) * sizeof(Real));
  const Values first = x.gradient;
  std::fill(x.gradient.begin(), x.gradient.end(), Real(0));
  tape.backward(sum(y));  // each has given back what it had
  CHECK(x.gradient == first);
  CHECK(tape.gradients().bytes_peak() < 5 * (n + 16) * sizeof(Real));
}

TEST_CASE("nothing is recorded where nothing wants a gradient", "[tape]") {
  Leaf x({2, 3}, 1), w({4, 3}, 2);
  Tape tape;
  Tape::Scope scope(tape);
  const Tensor constant = linear(x.constant(), w.constant(), {});
  CHECK_FALSE(static_cast<bool>(constant.grad));
  CHECK(tape.nodes() == 0);
  const Values recorded = values_of(linear(x.constant(), w.tensor(), {}));
  CHECK(tape.nodes() == 1);
  tape.reset();
  CHECK(tape.nodes() == 0);
  tape.recording = false;
  const Tensor silent = linear(x.tensor(), w.tensor(), {});
  CHECK_FALSE(static_cast<bool>(silent.grad));
  CHECK(tape.nodes() == 0);
  CHECK(values_of(silent) == recorded);
  check_throws([&] { tape.backward(sum(silent)); }, {"backward: got a tensor without a gradient"});
}

TEST_CASE("backward needs one number", "[tape]") {
  Leaf x({2, 3}, 1);
  Tape tape;
  Tape::Scope scope(tape);
  check_throws([&] { tape.backward(relu(x.tensor())); },
               {"backward: shape of loss", "got [2, 3]", "expected [1]"});
}

TEST_CASE("check_finite names the op, the element and the last parameter", "[tape]") {
  const Real nan = std::numeric_limits<Real>::quiet_NaN(), infinity = std::numeric_limits<Real>::infinity();
  Leaf weight({2}, Values{1, 2}), x({3, 2}, Values{1, 1, 1, nan, 1, 1});
  Tensor named = weight.tensor();
  named.name = "blocks.3.ln.gain";
  named.is_parameter = true;
  Tensor plain = x.tensor();
  plain.name = "x.y";  // a dot makes no parameter
  Tape tape;
  Tape::Scope scope(tape);
  CHECK(mul(plain, named).size() == 6);  // not checked unless asked for
  tape.reset();
  tape.check_finite = true;
  check_throws<NumericalError>([&] { relu(plain); }, {"NaN in op relu, output [3, 2], element 3"});
  CHECK_FALSE(contains(thrown_by<NumericalError>([&] { relu(plain); }), "parameter"));
  check_throws<NumericalError>([&] { mul(plain, named); },
                               {"NaN in op mul", "element 3", "the last parameter used is blocks.3.ln.gain"});
  x.values[3] = 1;
  check_throws<NumericalError>([&] { scale(plain, infinity); }, {"infinity in op scale", "element 0"});
  CHECK(thrown_by<NumericalError>([&] { scale(plain, 2); }) == "nothing thrown");
  tape.recording = false;  // checked all the same
  check_throws<NumericalError>([&] { scale(plain, nan); }, {"NaN in op scale"});
}

TEST_CASE("a backward after its scope, or in that of another tape, is the same", "[tape]") {
  const auto gradient = [](int where) {
    Leaf q({1, 5, 4}, 1), k({1, 5, 4}, 2), v({1, 5, 4}, 3);
    Tape tape, other;
    Tensor loss;
    {
      const Tape::Scope scope(tape);
      loss = sum(causal_attention(q.tensor(), k.tensor(), v.tensor(), 2, 0.7));
      if (where == 0) tape.backward(loss);
    }
    if (where == 1) tape.backward(loss);
    if (where == 2) {
      const Tape::Scope scope(other);
      tape.backward(loss);
      CHECK(&Tape::current() == &other);
    }
    return q.gradient;
  };
  CHECK(gradient(1) == gradient(0));
  CHECK(gradient(2) == gradient(0));
}

TEST_CASE("ops need a tape, of this thread; scopes nest", "[tape]") {
  Leaf x({2}, 1);
  check_throws([&] { relu(x.tensor()); }, {"op called outside of a tape", "Tape::Scope"});
  Tape outer, inner;
  {
    Tape::Scope scope(outer);
    {
      Tape::Scope deeper(inner);
      relu(x.tensor());
      CHECK(&Tape::current() == &inner);
    }
    CHECK(&Tape::current() == &outer);
    CHECK(inner.nodes() == 1);
    CHECK(outer.nodes() == 0);
    std::string elsewhere;
    std::thread([&] { elsewhere = thrown_by([&] { relu(x.tensor()); }); }).join();
    CHECK(contains(elsewhere, "op called outside of a tape"));
  }
  check_throws([&] { Tape::current(); }, {"op called outside of a tape"});
}

// ---- Dropout
// -----------------------------------------------------------------------------------------------

TEST_CASE("dropout does not depend on how the batch is divided among workers", "[dropout]") {
  // 7 * 3 numbers a sequence: shares do not begin where a block of the generator does.
  const Index sequences = 10, tokens = 7, channels = 3, size = tokens * channels;
  Leaf whole({sequences, tokens, channels}, 1);
  const auto settings = [](Tape& tape, Index first_sequence) {
    tape.settings.random = {42, 0, 17};
    tape.settings.first_sequence = first_sequence;
  };
  Tape tape;
  Tape::Scope scope(tape);
  settings(tape, 0);
  const Tensor once = dropout(whole.tensor(), 0.4), then = dropout(once, 0.2);
  const Values expected = values_of(then);
  tape.backward(sum(then));
  for (Index workers : {2, 3, 10}) {
    Values values, gradient;
    for (Index worker = 0; worker < workers; ++worker) {
      const Index first = sequences * worker / workers, last = sequences * (worker + 1) / workers;
      Leaf share({last - first, tokens, channels},
                 Values(whole.values.begin() + first * size, whole.values.begin() + last * size));
      Tape own;
      Tape::Scope own_scope(own);
      settings(own, first);
      const Tensor y = dropout(dropout(share.tensor(), 0.4), 0.2);
      own.backward(sum(y));
      values.insert(values.end(), y.data, y.data + y.size());
      gradient.insert(gradient.end(), share.gradient.begin(), share.gradient.end());
    }
    CHECK(values == expected);
    CHECK(gradient == whole.gradient);
  }
}

// Which elements of ones are kept: 0 or 1 / (1 - p).
Values mask(Index n, double p) {
  Leaf ones({n}, Values(n, Real(1)));
  return values_of(dropout(ones.tensor(), p));
}

TEST_CASE("dropout keeps a share of 1 - p and scales it by 1 / (1 - p)", "[dropout]") {
  constexpr Index n = 200000;
  Tape tape;
  Tape::Scope scope(tape);
  for (double p : {0.01, 0.1, 0.5, 0.9}) {
    INFO("p = " << p);
    double kept = 0, neighbours = 0;
    const Values m = mask(n, p);
    for (std::size_t i = 0; i < m.size(); ++i) {
      if (m[i] == 0) continue;
      REQUIRE(m[i] == Real(1 / (1 - p)));
      ++kept;
      if (i + 1 < m.size() && m[i + 1] != 0) ++neighbours;
    }
    const double q = 1 - p, count = static_cast<double>(n);
    CHECK(std::fabs(kept - count * q) < 5 * std::sqrt(count * p * q));
    // Neighbours are independent: both are kept with q^2 (the variance counts overlapping pairs).
    const double pair_variance = q * q * (1 - q * q) + 2 * (q * q * q - q * q * q * q);
    CHECK(std::fabs(neighbours - count * q * q) < 5 * std::sqrt(count * pair_variance));
  }
}

TEST_CASE("dropout draws anew for each call, step and seed, and the same again after reset", "[dropout]") {
  constexpr Index n = 256;
  Tape tape;
  Tape::Scope scope(tape);
  std::set<Values> masks;
  tape.settings.random = {1, 0, 1};
  const Values first = mask(n, 0.5);
  masks.insert(first);
  masks.insert(mask(n, 0.5));
  masks.insert(mask(n, 0.5));
  tape.reset();
  CHECK(mask(n, 0.5) == first);
  tape.reset();
  tape.settings.random.step = 2;
  masks.insert(mask(n, 0.5));
  tape.reset();
  tape.settings.random = {2, 0, 1};
  masks.insert(mask(n, 0.5));
  tape.reset();
  tape.settings.random = {1, 0, 1};
  tape.settings.first_sequence = 1;
  masks.insert(mask(n, 0.5));
  CHECK(masks.size() == 6);

  tape.settings.training = false;
  CHECK(mask(n, 0.5) == Values(n, Real(1)));
  tape.settings.training = true;
  CHECK(mask(n, 0) == Values(n, Real(1)));
}

// ---- Wrong shapes
// ------------------------------------------------------------------------------------------

TEST_CASE("a wrong shape or setting is named: op, what, got, expected", "[ops]") {
  Leaf vector2({2}, 1), vector3({3}, 2), matrix({2, 3}, 3), square({3, 3}, 4), batch({2, 2, 3}, 5),
      tokens({2, 5, 6}, 6), empty({2, 0}, 7);
  const Tensor v2 = vector2.tensor(), v3 = vector3.tensor(), m = matrix.tensor(), sq = square.tensor(),
               b = batch.tensor(), t = tokens.tensor(), none = empty.tensor(), absent;
  const std::vector<std::int32_t> two = {0, 1}, below = {0, -2}, above = {0, 3}, minus_one = {0, -1};
  const double nan = std::nan("");

  struct Mistake {
    std::function<void()> call;
    std::vector<std::string> said;
  };
  const std::vector<Mistake> mistakes = {
      {[&] { add(m, v2); }, {"add: shape of b", "got [2]", "expected the last axes of [2, 3]"}},
      {[&] { add(v3, m); }, {"add: shape of b", "got [2, 3]", "expected the last axes of [3]"}},
      {[&] { add(m, absent); }, {"add: shape of b", "got []", "expected the last axes of [2, 3]"}},
      {[&] { mul(m, v2); }, {"mul: shape of b", "got [2]", "expected the last axes of [2, 3]"}},
      {[&] { dropout(m, 1); }, {"dropout: p", "got 1.0", "expected 0 <= p < 1"}},
      {[&] { dropout(m, -0.5); }, {"dropout: p", "got -0.5"}},
      {[&] { dropout(m, nan); }, {"dropout: p", "got nan"}},
      {[&] { reshape(m, {5}); }, {"reshape: shape of x", "got [2, 3]", "expected as many elements as [5]"}},
      {[&] { transpose(m, 0, 2); }, {"transpose: axis", "got 2", "expected 0 to 1"}},
      {[&] { transpose(m, -1, 0); }, {"transpose: axis", "got -1", "expected 0 to 1"}},
      {[&] { sum(m, 2); }, {"sum: axis", "got 2", "expected 0 to 1"}},
      {[&] { mean(m, -1); }, {"mean: axis", "got -1", "expected 0 to 1"}},
      {[&] { mean(none); }, {"mean: an empty axis", "got 0 elements", "expected at least 1"}},
      {[&] { mean(none, 1); }, {"mean: an empty axis", "got 0 elements", "expected at least 1"}},
      {[&] { linear(m, m, {}).size(), linear(v2, m, {}); }, {"linear: shape of w", "got [2, 3]", "[N, 2]"}},
      {[&] { linear(m, v3, {}); }, {"linear: shape of w", "got [3]", "expected [N, 3]"}},
      {[&] { linear(m, sq, v2); }, {"linear: shape of b", "got [2]", "expected [3]"}},
      {[&] { linear(absent, m, {}); }, {"linear: shape of x", "got []", "expected [..., K]"}},
      {[&] { matmul(v3, m); }, {"matmul: shape of a", "got [3]", "expected at least two axes"}},
      {[&] { matmul(m, m); }, {"matmul: shape of b", "got [2, 3]", "expected one that fits a [2, 3]"}},
      {[&] { matmul(m, sq, true, false); }, {"matmul: shape of b", "got [3, 3]", "fits a [2, 3]"}},
      {[&] { matmul(b, m); }, {"matmul: shape of b", "got [2, 3]", "fits a [2, 2, 3]"}},
      {[&] {
         matmul(b, reshape(sq, {1, 3, 3}));
       },
       {"matmul: shape of b", "got [1, 3, 3]"}},
      {[&] { layer_norm(m, v2, {}, 1e-5); }, {"layer_norm: shape of gain", "got [2]", "expected [3]"}},
      {[&] { layer_norm(m, v3, v2, 1e-5); }, {"layer_norm: shape of bias", "got [2]", "expected [3]"}},
      {[&] { layer_norm(m, absent, {}, 1e-5); }, {"layer_norm: shape of gain", "got []", "expected [3]"}},
      {[&] { rms_norm(m, v2, 1e-5); }, {"rms_norm: shape of gain", "got [2]", "expected [3]"}},
      {[&] { causal_softmax(transpose(m, 0, 1)); },
       {"causal_softmax: shape of x", "got [3, 2]", "expected [..., T, T]"}},
      {[&] { causal_softmax(v3); }, {"causal_softmax: shape of x", "got [3]"}},
      {[&] { causal_attention(m, m, m, 1, 1); }, {"causal_attention: shape of q", "got [2, 3]", "[B, T, C]"}},
      {[&] { causal_attention(t, b, t, 2, 1); },
       {"causal_attention: shape of k", "got [2, 2, 3]", "[2, 5, 6]"}},
      {[&] { causal_attention(t, t, b, 2, 1); },
       {"causal_attention: shape of v", "got [2, 2, 3]", "[2, 5, 6]"}},
      {[&] { causal_attention(t, t, t, 4, 1); },
       {"causal_attention: shape of q", "got [2, 5, 6]", "expected channels divisible by 4 heads"}},
      {[&] { causal_attention(t, t, t, 0, 1); }, {"causal_attention", "divisible by 0 heads"}},
      {[&] { embedding(v3, two, {2}); }, {"embedding: shape of table", "got [3]", "expected [V, C]"}},
      {[&] { embedding(m, two, {3}); }, {"embedding: shape of ids", "got [3]", "expected 2 ids"}},
      {[&] {
         embedding(m, two, {1, 1, 1, 2});
       },
       {"embedding: shape of ids", "got [1, 1, 1, 2]"}},
      {[&] { embedding(m, minus_one, {2}); }, {"embedding: id", "got -1", "expected 0 to 1"}},
      {[&] { embedding(m, above, {2}); }, {"embedding: id", "got 3", "expected 0 to 1", "tokenizer"}},
      {[&] { cross_entropy(sq, two); }, {"cross_entropy: shape of logits", "got [3, 3]", "2 rows"}},
      {[&] { cross_entropy(m, below); },
       {"cross_entropy: target", "got -2", "expected 0 to 2, or -1 to ignore"}},
      {[&] { cross_entropy(m, above); }, {"cross_entropy: target", "got 3", "expected 0 to 2"}},
      {[&] { cross_entropy(m, two, {.divisor = 0}); }, {"cross_entropy: divisor", "got 0.0", "positive"}},
      {[&] { cross_entropy(m, two, {.divisor = nan}); }, {"cross_entropy: divisor", "got nan"}},
      {[&] { cross_entropy(m, two, {.label_smoothing = 1}); },
       {"cross_entropy: label smoothing", "got 1.0", "expected 0 <= s < 1"}},
      {[&] { cross_entropy(m, two, {.label_smoothing = -0.1}); },
       {"cross_entropy: label smoothing", "got -0.1"}},
      {[] {
         Shape too_many{1, 2, 3, 4, 5};
       },
       {"shape", "got 5 axes", "expected at most 4"}},
      {[] {
         Shape negative{2, -3};
       },
       {"shape", "got -3 as a size"}},
  };
  Tape tape;
  Tape::Scope scope(tape);
  for (const Mistake& mistake : mistakes) check_throws(mistake.call, mistake.said);
  // After all these mistakes the tape still works.
  tape.reset();
  matrix.gradient.assign(6, Real(0));
  tape.backward(sum(m));
  CHECK(matrix.gradient == Values(6, Real(1)));
}

TEST_CASE("shapes", "[tensor]") {
  CHECK(Shape().size() == 0);
  CHECK(Shape().last() == 0);
  CHECK(Shape().rows() == 0);
  CHECK(Shape().str() == "[]");
  const Shape shape{4, 64, 128};
  CHECK(shape.size() == 4 * 64 * 128);
  CHECK(shape.last() == 128);
  CHECK(shape.rows() == 256);
  CHECK(shape.str() == "[4, 64, 128]");
  CHECK(Shape{7}.rows() == 1);
  CHECK(Shape{3, 0}.rows() == 0);
  CHECK(Shape{2, 3} != Shape{2, 3, 1});
  CHECK(Shape{2, 3} == Shape{2, 3});
}

// ---- A step allocates nothing after the first
// --------------------------------------------------------------

TEST_CASE("after the first step nothing is allocated", "[tape]") {
  const Index batch = 3, length = 70, channels = 24, vocab = 11;
  Leaf table({vocab, channels}, 1), gain({channels}, 2), bias({channels}, 3), wq({channels, channels}, 4),
      wv({channels, channels}, 5), head({vocab, channels}, 6);
  std::vector<std::int32_t> ids;
  for (Index i = 0; i < batch * length; ++i) ids.push_back(static_cast<std::int32_t>(i * 7 % vocab));
  const std::vector<std::int32_t> rows = {5, 1, 5};
  Tape tape;
  const auto step = [&](std::uint64_t number) {
    Tape::Scope scope(tape);
    tape.settings.random = {1, 0, number};
    const Tensor x = embedding(table.tensor(), ids, {batch, length});
    const Tensor n = layer_norm(x, gain.tensor(), bias.tensor(), 1e-5);
    const Tensor q = linear(n, wq.tensor(), bias.tensor()), v = linear(n, wv.tensor(), {});
    const Tensor attended = add(x, dropout(causal_attention(q, q, v, 3, 0.3), 0.1));
    const Tensor mixed = mul(rms_norm(gelu(attended), gain.tensor(), 1e-5), gain.tensor());
    const Tensor turned = transpose(reshape(mixed, {batch, length, 4, channels / 4}), 1, 2);
    const Tensor squares = causal_softmax(scale(matmul(turned, turned, false, true), Real(0.1)));
    const Tensor distances = exp(negate(where(window_mask(length, 3), squares, 0.5)));
    const Tensor shares = divide(distances, insert_axis(sum(distances, 3), 3));
    const Tensor joined = concatenate({slice(shares, 2, 0, 2), gather(shares, 2, rows)}, 2);
    tape.add_penalty(mean(log_sum_exp(cumulative_sum(joined, 3), 3)));
    const Tensor logits = linear(mixed, head.tensor(), {});
    const Tensor loss = cross_entropy(logits, ids, {.divisor = 210, .label_smoothing = 0.1});
    tape.backward(tape.with_penalties(add(loss, mean(softmax(sum(squares, 2))))));
    tape.reset();
  };
  step(1);
  const Index activations = tape.activations().system_allocations(),
              gradients = tape.gradients().system_allocations();
  const std::size_t peak = tape.activations().bytes_peak();
  const long before = operator_new_calls();
  for (std::uint64_t number = 2; number < 6; ++number) step(number);
  const long after = operator_new_calls();
  CHECK(after - before == 0);
  CHECK(tape.activations().system_allocations() == activations);
  CHECK(tape.gradients().system_allocations() == gradients);
  CHECK(tape.activations().bytes_peak() == peak);

  // The counter does count.
  const std::vector<int> something(100);
  CHECK(operator_new_calls() > after);
}

}  // namespace
}  // namespace ef
