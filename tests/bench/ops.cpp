// The time of each op alone, beside the least time that its bytes or its products need: make bench.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <utility>

#include "engine/matmul/blas.h"
#include "engine/matmul/tiles.h"
#include "engine/ops.h"
#include "engine/parameters.h"
#include "engine/random.h"
#include "engine/tape.h"
#include "models/layers.h"
#include "tests/bench/common.h"
#include "train/options/command_line.h"

namespace ef::bench {
namespace {

constexpr double patience = 0.2;  // seconds for one measurement

// What an op must do at least.
struct Work {
  Index read = 0, written = 0;         // numbers; what is added to is written
  std::vector<Product> products = {};  // sgemm's part
};

struct Op {
  std::string name, size;
  std::function<Tensor()> call;
  Work forward, backward;
};

// Even numbers of that size around zero: neither sums nor exponentials leave the range of normal floats.
void fill(Real* out, Index n, double size) {
  const Random random{1, stream_of(Purpose::test), 0};
  for (Index i = 0; i < n; ++i) out[i] = Real(size * (2 * random.uniform(static_cast<std::uint64_t>(i)) - 1));
}

// The ops of one case, and the memory of their inputs.
class Ops {
 public:
  explicit Ops(const Config& config) : config_(config), batch_(random_batch(config, 1)) {}
  Ops(const Ops&) = delete;
  Ops& operator=(const Ops&) = delete;

  const std::vector<Op>& all() const { return all_; }

  void add_blocks() {
    const ModelConfig& m = config_.model;
    const Index b = config_.batch, t = m.context, c = m.channels, h = m.heads, d = c / h;
    const Tensor x = leaf({b, t, c}), x2 = leaf({b, t, c}), x3 = leaf({b, t, c});
    const Index n = x.size();
    put("add", x, [=] { return add(x, x2); }, {2 * n, n}, {n, 2 * n});
    put("mul", x, [=] { return mul(x, x2); }, {2 * n, n}, {3 * n, 2 * n});
    put("scale", x, [=] { return scale(x, Real(0.5)); }, {n, n}, {n, n});
    put("dropout", x, [=] { return dropout(x, 0.1); }, {n, n}, {n, n});
    const Tensor parts = leaf({b, t, h, d});
    put("transpose", parts, [=] { return transpose(parts, 1, 2); }, {n, n}, {n, n});

    const Tensor inner = leaf({b, t, m.ffn});
    const Index wide = inner.size();
    put("gelu_tanh", inner, [=] { return gelu_tanh(inner); }, {wide, wide}, {2 * wide, wide});
    put("gelu", inner, [=] { return gelu(inner); }, {wide, wide}, {2 * wide, wide});
    put("relu", inner, [=] { return relu(inner); }, {wide, wide}, {2 * wide, wide});
    put("silu", inner, [=] { return silu(inner); }, {wide, wide}, {2 * wide, wide});

    // What the times of all backwards begin with.
    for (const Tensor& dy : {x, inner}) {
      const auto nothing = [=] {
        Tape& tape = Tape::current();
        return tape.record(tape.output("nothing", dy.shape, {dy}), [] {});
      };
      put("(an op that does nothing)", dy, nothing, {}, {});
    }

    const Tensor gain = leaf({c}), bias = leaf({c});
    put("layer_norm", x, [=] { return layer_norm(x, gain, bias, 1e-5); }, {n + 2 * c, n},
        {2 * n + c, n + 2 * c});
    put("rms_norm", x, [=] { return rms_norm(x, gain, 1e-5); }, {n + c, n}, {2 * n + c, n + c});

    const Tensor scores = leaf({b, h, t, t});
    const Index s = scores.size(), past = b * h * t * (t + 1) / 2;
    put("softmax", scores, [=] { return softmax(scores); }, {s, s}, {2 * s, s});
    put("causal_softmax", scores, [=] { return causal_softmax(scores); }, {past, s}, {2 * past, past});
    put("where, causal mask", scores, [=] { return where(causal_mask(t), scores, unseen); }, {s + t * t, s},
        {s + t * t, s});
    put("exp", scores, [=] { return exp(scores); }, {s, s}, {2 * s, s});
    const Tensor row_numbers = leaf({b, h, t, 1});
    const Index r = row_numbers.size();
    put("subtract, a number a row", scores, [=] { return subtract(scores, row_numbers); }, {s + r, s},
        {s, s + r});
    put("max, last axis", scores, [=] { return max(scores, 3); }, {s, r}, {2 * r, r});
    put("log_sum_exp, last axis", scores, [=] { return log_sum_exp(scores, 3); }, {s, r}, {s + r, s});
    const double heads = static_cast<double>(b * h), half = heads / 2;
    put("causal_attention", x,
        [=] { return causal_attention(x, x2, x3, h, 1 / std::sqrt(static_cast<double>(d))); },
        {3 * n, n, {{"q k^T", t, t, d, false, true, half}, {"p v", t, d, t, false, false, half}}},
        {5 * n,
         3 * n,
         {{"do v^T", t, t, d, false, true, half},
          {"ds k", t, d, t, false, false, half},
          {"p^T do, ds^T q", t, d, t, true, false, 2 * half}}});
    const Tensor q = leaf({b, h, t, d}), k = leaf({b, h, t, d});
    put("matmul, q k^T", q, [=] { return matmul(q, k, false, true); },
        {2 * n, s, {{"q k^T", t, t, d, false, true, heads}}},
        {2 * n + s,
         2 * n,
         {{"dy k", t, d, t, false, false, heads}, {"dy^T q", t, d, t, true, false, heads}}});
    put_linear(x, c);
    put_linear(x, m.ffn);
    put_linear(inner, c);
    put_feed_forward(x, m.ffn);

    const Tensor table = leaf({m.vocab, c});
    const Index ids = b * t;
    put(text("embedding, %td ids", ids), table,
        [=, this] {
          return embedding(table, batch_.inputs, {b, t});
        },
        {table.size() + ids, n}, {n + ids, table.size()});
  }

  void add_head() {
    const ModelConfig& m = config_.model;
    const Index rows = batch_.scored, c = m.channels, v = m.vocab;
    const CrossEntropy options{static_cast<double>(rows)};
    const Tensor logits = leaf({rows, v}), x = leaf({rows, c}), w = leaf({v, c});
    put("cross_entropy", logits, [=, this] { return cross_entropy(logits, batch_.targets, options); },
        {logits.size() + rows}, {logits.size() + rows, logits.size()});
    // The forward makes the gradients of x and w; the backward adds them.
    const Index both = x.size() + w.size();
    put(text("linear_cross_entropy, V %td", v), x,
        [=, this] { return linear_cross_entropy(x, w, batch_.targets, options); },
        {both + rows, both, linear_products("head", rows, c, v, 1)}, {both, both});
  }

  void add_spectral() {
    const Index c = config_.model.channels, d = c / config_.model.heads;
    const Tensor core = leaf({d, d}), q = leaf({d, c}), k = leaf({d, c});
    const Index n = core.size(), both = q.size() + k.size();
    // Eigenvalues and vectors of a general matrix take about 25 d^3 operations (Golub and Van Loan): 12.5
    // products.
    put("eigenvalues", core, [=] { return eigenvalues(core); },
        {n, 2 * n, {{"eigenvectors", d, d, d, false, false, 12.5}}},
        {2 * n, n, {{"left^T right", d, d, d, true, false, 1}}});
    put("product_trace_square", q, [=] { return product_trace_square(q, k); },
        {both, n, {{"k q^T", d, d, c, false, true, 1}}},
        {both + n, both, {{"m k", d, c, d, false, false, 1}, {"m^T q", d, c, d, true, false, 1}}});
    put("product_frobenius_square", q, [=] { return product_frobenius_square(q, k); },
        {both, 2 * n, {{"q q^T, k k^T", d, d, c, false, true, 2}}},
        {both + 2 * n, both, {{"k k^T q, q q^T k", d, c, d, false, false, 2}}});
  }

 private:
  // An input with a gradient, both of which live as long as this.
  Tensor leaf(const Shape& shape) {
    Buffer& values = memory_.emplace_back(shape.size());
    fill(values.data(), values.size(), 0.1);
    Real* data = values.data();
    return {shape, data, memory_.emplace_back(shape.size()).data(), "bench.leaf"};
  }

  void put(const std::string& name, const Tensor& x, std::function<Tensor()> call, Work forward,
           Work backward) {
    all_.push_back({name, x.shape.str(), std::move(call), std::move(forward), std::move(backward)});
  }

  void put_linear(const Tensor& x, Index out) {
    const Index rows = x.shape.rows(), in = x.shape.last();
    const Tensor w = leaf({out, in}), b = leaf({out});
    const std::vector<Product> p = linear_products("linear", rows, in, out, 1);
    const Index outputs = rows * out, weights = w.size() + out;
    put(text("linear to %td", out), x, [=] { return linear(x, w, b); }, {x.size() + weights, outputs, {p[0]}},
        {outputs + x.size() + w.size(), x.size() + weights, {p[1], p[2]}});
  }

  void put_feed_forward(const Tensor& x, Index width) {
    const Index rows = x.shape.rows(), c = x.shape.last(), weights = 2 * c * width + c + width;
    const Tensor up = leaf({width, c}), up_bias = leaf({width}), down = leaf({c, width}),
                 down_bias = leaf({c});
    const std::vector<Product> u = linear_products("up", rows, c, width, 1),
                               d = linear_products("down", rows, width, c, 1);
    put("feed_forward", x,
        [=] { return feed_forward(x, up, up_bias, down, down_bias, activation("gelu-tanh")); },
        {x.size() + weights, x.size() + rows * width, {u[0], d[0]}},
        {2 * x.size() + rows * width + weights, x.size() + weights, {u[1], u[2], d[1], d[2]}});
  }

  Config config_;
  Batch batch_;
  std::vector<Buffer> memory_;
  std::vector<Op> all_;
};

// What passes between the processor and where the numbers are: a line that is written comes in first.
double bytes_moved(Index read, Index written) {
  return static_cast<double>(read + 2 * written) * sizeof(Real);
}

// Bytes a second that memcpy moves, to and fro between the halves of a working set.
double copy_bandwidth(Index numbers) {
  const Index half = std::max<Index>(numbers / 2, 1);
  const Index repeats = std::max<Index>((Index{1} << 20) / half, 1);  // far above the clock's resolution
  Buffer a(half), b(half);
  Real *from = a.data(), *to = b.data();
  const double seconds = time(patience / 2, [&] {
                           for (Index i = 0; i < repeats; ++i) {
                             std::memcpy(to, from, static_cast<std::size_t>(half) * sizeof(Real));
                             std::swap(from, to);
                           }
                         }).median();
  return bytes_moved(half, half) * static_cast<double>(repeats) / seconds;
}

// The cells of one direction: time, bound, by which of the two, share.
std::vector<std::string> cells(double seconds, const Work& work) {
  const double bytes = bytes_moved(work.read, work.written) / copy_bandwidth(work.read + work.written);
  const double products = sgemm_seconds(work.products, 1);
  const double bound = std::max(bytes, products);
  return {text("%.1f", 1e6 * seconds), text("%.1f", 1e6 * bound), bytes >= products ? "bytes" : "flops",
          text("%.0f %%", 100 * bound / seconds)};
}

std::vector<std::string> measure(const Op& op) {
  Tape tape;
  const Tape::Scope scope(tape);
  Tensor y;
  const double forward = time(patience, [&] {
                           tape.reset();
                           y = op.call();
                         }).median();
  std::vector<Real> seed(y.size());
  fill(seed.data(), y.size(), 1e-3);
  const double backward = time(patience, [&] { tape.backward(y, seed); }).median();
  std::vector<std::string> row = {op.name, op.size};
  for (const std::string& cell : cells(forward, op.forward)) row.push_back(cell);
  for (const std::string& cell : cells(backward, op.backward)) row.push_back(cell);
  return row;
}

// The head of case A, whose logits are 68 million, with both ways of CrossEntropy::Logits, in turns.
void compare_heads() {
  const Config config = config_of("A");
  const Batch batch = random_batch(config, 1);
  const Index count = batch.scored, c = config.model.channels, v = config.model.vocab;
  std::vector<Real> x(count * c), w(v * c), dx = x, dw = w;
  fill(x.data(), count * c, 1);
  fill(w.data(), v * c, 0.05);
  std::vector<std::vector<std::string>> rows = {{"precision", "logits kept, ms", "recomputed, ms", "ratio"}};
  std::vector<const char*> precisions = {"float32"};
  if (tiles::unavailable().empty()) precisions.insert(precisions.end(), {"split3", "split2", "bf16"});
  for (const char* precision : precisions) {
    blas::use_precision(precision);
    const blas::Unchanging weights(w.data(), v * c);
    Times kept, recomputed;
    using Logits = CrossEntropy::Logits;
    for (int turn = 0; turn < 3; ++turn) {
      for (auto [logits, times] : {std::pair{Logits::kept, &kept}, {Logits::recomputed, &recomputed}}) {
        Tape tape;
        const Tape::Scope scope(tape);
        const auto head = [&] {
          tape.reset();
          linear_cross_entropy({{count, c}, x.data(), dx.data(), "x"}, {{v, c}, w.data(), dw.data(), "w"},
                               batch.targets, {static_cast<double>(count), 0, logits});
        };
        times->seconds.push_back(time(0, head).median());
      }
    }
    rows.push_back({precision, text("%.0f", 1e3 * kept.median()), text("%.0f", 1e3 * recomputed.median()),
                    text("%.2f", recomputed.median() / kept.median())});
  }
  blas::use_precision("float32");
  std::printf("### The head with cross-entropy: logits kept, or computed twice\n\n%s\n", table(rows).c_str());
}

void run() {
  blas::use_one_thread();
  std::printf("## Each op alone, beside its bound\n\n%s\n", machine().c_str());
  std::printf(
      "One thread, medians. The bound is the larger of two times; share = bound / time.\n"
      "bytes: 4 (numbers read + 2 x numbers written or added to), as a line that is written comes into the\n"
      "cache first, over the rate of memcpy, counted likewise, within a working set of that size. A forward\n"
      "reads its inputs and writes its output; a backward reads dy and what it needs of inputs and output,\n"
      "and adds to the gradients of all inputs.\n"
      "flops: cblas_sgemm alone on the op's products, each at its shape with warm caches. Attention has two\n"
      "in the forward and four in the backward, counted half, as half of the pattern is in the future; the\n"
      "head has all three in the forward; eigenvalues, with vectors, count as 25 d^3 operations.\n"
      "The time of a backward begins with the tape's handing over of dy (set to zero, then added): it takes\n"
      "as long as the backward of the op that does nothing.\n\n");
  std::fflush(stdout);
  wait_until_quiet();
  std::vector<std::vector<std::string>> rows = {
      {"op", "size", "forward us", "bound", "by", "share", "backward us", "bound", "by", "share"}};
  const auto measure_all = [&](const Ops& ops) {
    for (const Op& op : ops.all()) rows.push_back(measure(op));
  };
  for (const char* name : {"B", "C"}) {
    Ops ops(config_of(name));
    ops.add_blocks();
    ops.add_head();
    ops.add_spectral();
    measure_all(ops);
  }
  Ops wide(config_of("A"));
  wide.add_head();
  measure_all(wide);
  std::printf("%s\n", table(rows).c_str());
  compare_heads();
}

}  // namespace
}  // namespace ef::bench

int main() { return ef::run_program("bench", ef::bench::run); }
