#include "models/regulariser.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "engine/error.h"
#include "models/registry.h"

namespace ef {

std::vector<bool> selection(const char* what, const std::string& text, Index count) {
  std::vector<bool> chosen(static_cast<std::size_t>(count), text == "all");
  for (std::size_t begin = 0; text != "all" && begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    Index number = -1;
    const auto [stop, error] = std::from_chars(text.data() + begin, text.data() + end, number);
    if (error != std::errc() || stop != text.data() + end || number < 0 || number >= count) {
      fail(std::string("regulariser: ") + what, "'" + text + "'",
           "all, or numbers from 0 to " + std::to_string(count - 1) + " with commas between them");
    }
    chosen[static_cast<std::size_t>(number)] = true;
    begin = end + 1;
  }
  return chosen;
}

namespace {

// What the siblings share: the heads they work on, and the growth of their strength.
struct OverHeads : Regulariser {
  RegulariserConfig config;
  Index heads;
  std::vector<bool> layer_chosen, head_chosen;

  explicit OverHeads(const ModelConfig& c)
      : config(c.regulariser),
        heads(c.heads),
        layer_chosen(selection("layers", c.regulariser.layers, c.layers)),
        head_chosen(selection("heads", c.regulariser.heads, c.heads)) {
    const auto not_negative = [](const char* what, double x) {
      if (!(x >= 0)) fail(std::string("regulariser: ") + what, std::to_string(x), "at least 0");
    };
    not_negative("strength", config.strength);
    not_negative("hold", config.hold);
    not_negative("warm-up", static_cast<double>(config.warmup));
    not_negative("target-warmup", static_cast<double>(config.target_warmup));
  }

  std::vector<QKProduct> chosen(const Transformer& model) const {
    std::vector<QKProduct> products = model.qk();
    std::erase_if(products, [&](const QKProduct& p) {
      return !layer_chosen[static_cast<std::size_t>(p.layer)] ||
             !head_chosen[static_cast<std::size_t>(p.head)];
    });
    return products;
  }

  Real growth(Index done) const {
    if (done >= config.warmup) return 1;
    return Real(static_cast<double>(done + 1) / static_cast<double>(config.warmup));
  }
};

// a + b where a may be nothing yet.
Tensor plus(const Tensor& a, const Tensor& b) { return a ? add(a, b) : b; }

struct None : Regulariser {
  None(const Builder&, const ModelConfig& c) {
    if (c.regulariser.strength != 0 || c.regulariser.hold != 0)
      warnings.push_back("no regulariser is chosen: its strength and hold do nothing (--regulariser)");
  }
  Tensor loss(const Transformer&, Index) const override { return {}; }
};
const Registered<Regulariser, None> none("none", "nothing is added to the loss");

// strength sum over heads of (||W_Q||_F^2 + ||W_K||_F^2): plain weight decay, as a term, of these two alone.
struct L2OfQK : OverHeads {
  L2OfQK(const Builder&, const ModelConfig& c) : OverHeads(c) {
    if (config.strength == 0) warnings.push_back("l2-qk: its strength is 0: nothing is added to the loss");
    if (config.hold != 0) warnings.push_back("l2-qk: it holds no mean: hold does nothing");
  }
  Tensor loss(const Transformer& model, Index done) const override {
    if (config.strength == 0) return {};
    Tensor total;
    for (const QKProduct& p : chosen(model)) {
      total = plus(total, add(sum(mul(p.query, p.query)), sum(mul(p.key, p.key))));
    }
    return total ? scale(total, Real(config.strength) * growth(done)) : total;
  }
};
const Registered<Regulariser, L2OfQK> l2_of_qk("l2-qk", "squares of the query and key weights");

// LocAteR (Bao, Hataya and Karakida 2024): minimise the scale of the query-key eigenspectrum while its mean
// is held:
//   sum over heads of  strength scale(W) + hold (tr W - c)^2
// W is the product of the raw weights: a factor that the attention puts before it is left out. The paper's
// words leave open what measures the scale; see Scale. Gradients are exact, and but for `variance` they take
// matrix products of O(d k^2) a head only.
//
// The two terms pull against each other. Among W of rank k and of trace t, the least ||W||_F^2 (and tr W^2,
// of a real spectrum) is t^2 / k, at t / k times a projector, so that the minimum of both terms lies at
//   t = c / (1 + strength / (k hold)).
// (`variance` is 0 there, and pulls at no mean.)
using Scale = Tensor (*)(const QKProduct&);

// ||W||_F^2, an upper bound of tr W^2 and of sum |eigenvalue|^2. Zero only for W = 0.
Tensor frobenius(const QKProduct& p) { return product_frobenius_square(p.query, p.key); }

// tr W^2 itself. For W that is not symmetric this is ||S||^2 - ||A||^2 of its symmetric and antisymmetric
// parts, and has no minimum.
Tensor trace_of_square(const QKProduct& p) { return product_trace_square(p.query, p.key); }

// (tr W^2 + 2 ||W||_F^2) / 3: four times the variance of the centred logits of a random walk of tokens,
// averaged over its sites. Equal to tr W^2 for symmetric W.
Tensor logit_variance(const QKProduct& p) {
  return scale(add(trace_of_square(p), scale(frobenius(p), 2)), Real(1.0 / 3));
}

// sum |eigenvalue - mean|^2 over the k eigenvalues of the core, through the gradient of the eigenvalues.
Tensor variance(const QKProduct& p) {
  const Tensor lambda = eigenvalues(product_core(p.query, p.key));
  const Tensor trace = product_trace(p.query, p.key);
  return add(sum(mul(lambda, lambda)), scale(mul(trace, trace), -1 / Real(p.rank())));
}

struct Locater : OverHeads {
  Scale measure;
  Tensor held;     // state: c of each head of each layer
  Tensor initial;  // state: tr W at the start, where c goes from there to the target

  Locater(const Builder& b, const ModelConfig& c)
      : OverHeads(c),
        measure(scale_of(config.scale)),
        held(b.state("held_mean", {c.layers, c.heads}, Init::zeros())) {
    if (config.mean != "running" && config.mean != "initial" && config.mean != "target") {
      fail("locater: mean", "'" + config.mean + "'", "running, initial or target");
    }
    if (measure == trace_of_square && config.strength > 0) {
      warnings.push_back(
          "locater: the scale tr W^2 has no minimum where W is not symmetric; the run stops if it runs away "
          "(frobenius and logit-variance are bounded)");
    }
    if (config.strength == 0 && config.hold == 0)
      warnings.push_back("locater: strength and hold are 0: nothing is added to the loss");
    if (config.target != 0 && config.mean != "target")
      warnings.push_back("locater: the mean is the " + config.mean + " one: the target does nothing");
    if (config.target_warmup > 0 && config.mean == "target")
      initial = b.state("initial_trace", {c.layers, c.heads}, Init::zeros());
    else if (config.target_warmup != 0)
      warnings.push_back("locater: c goes to no target: the target's warm-up does nothing (--mean target)");
    warn_of_weak_hold(c.channels / c.heads);
  }

  // Where the minimum's trace is more than a tenth off, the mean is hardly held.
  void warn_of_weak_hold(Index k) {
    const bool fixed = config.mean == "initial" || (config.mean == "target" && config.target != 0);
    const double enough = 9 * config.strength / static_cast<double>(k);
    if (!fixed || measure == variance || config.strength == 0 || config.hold >= enough) return;
    const double part = config.hold / (config.hold + enough / 9);
    char text[200];
    std::snprintf(
        text, sizeof text,
        "locater: hold %g is weak beside strength %g: their minimum has %.2g %% of the trace that is to "
        "be held (with hold %.2g, 90 %%)",
        config.hold, config.strength, 100 * part, enough);
    warnings.push_back(text);
  }

  static Scale scale_of(const std::string& name) {
    if (name == "frobenius") return frobenius;
    if (name == "logit-variance") return logit_variance;
    if (name == "trace") return trace_of_square;
    if (name == "variance") return variance;
    fail("locater: scale", "'" + name + "'", "frobenius, logit-variance, trace or variance");
  }

  Real& held_mean(const QKProduct& p) const { return held.data[p.layer * heads + p.head]; }

  // c of the update that follows `done`, on its way from the initial trace to the target. Without a way c
  // jumps there at the first update, and tr W follows within some tens; with --reg-warmup, too, as Adam's
  // steps are of one size however small a gradient is.
  Real target(const QKProduct& p, Index done, Real trace) const {
    if (!initial || done >= config.target_warmup) return Real(config.target);
    Real& from = initial.data[p.layer * heads + p.head];
    if (done == 0) from = trace;
    const Real share = Real(static_cast<double>(done + 1) / static_cast<double>(config.target_warmup));
    return from + share * (Real(config.target) - from);
  }

  void prepare(const Transformer& model, Index done) override {
    for (const QKProduct& p : chosen(model)) {
      Real& c = held_mean(p);
      const Real trace = Real(p.trace() / p.factor);
      if (config.mean == "target")
        c = target(p, done, trace);
      else if (done == 0)
        c = trace;
      else if (config.mean == "running")
        c = Real(0.99) * c + Real(0.01) * trace;
      if (measure == trace_of_square && config.strength > 0) check_runaway(p, done);
    }
  }

  // A real spectrum has tr W^2 >= (tr W)^2 / k. Far below it, tr W^2 measures no scale any more: the
  // antisymmetric part grows, and the spectrum turns imaginary. Random weights scatter around 0, so "far" is
  // half of ||W||_F^2, which is -tr W^2 for an antisymmetric W. The present trace stands for c, which a
  // target may be far from.
  void check_runaway(const QKProduct& p, Index done) const {
    const double trace = p.trace() / p.factor;
    const double least = trace * trace / static_cast<double>(p.rank());
    const double square = p.trace_square() / (p.factor * p.factor);
    const double frobenius = p.frobenius_square() / (p.factor * p.factor);
    if (square >= least - frobenius / 2) return;
    throw NumericalError(
        "step " + std::to_string(done + 1) + ": locater: the scale tr W^2 runs away: it is " +
        std::to_string(square) + " in layer " + std::to_string(p.layer) + ", head " + std::to_string(p.head) +
        ", where (tr W)^2/k = " + std::to_string(least) + " and ||W||_F^2 = " + std::to_string(frobenius) +
        " (--scale frobenius has a minimum)");
  }

  Tensor loss(const Transformer& model, Index done) const override {
    Tensor total;
    for (const QKProduct& p : chosen(model)) {
      if (config.strength > 0) total = plus(total, scale(measure(p), Real(config.strength)));
      if (config.hold > 0) {
        const Tensor off = add(product_trace(p.query, p.key), constant(-held_mean(p)));
        total = plus(total, scale(mul(off, off), Real(config.hold)));
      }
    }
    return total ? scale(total, growth(done)) : total;
  }

  static Tensor constant(Real value) {
    Tensor x = Tape::current().output("constant", {1}, {});
    x.data[0] = value;
    return x;
  }
};
const Registered<Regulariser, Locater> locater("locater",
                                               "minimises the scale of the spectrum and holds its mean");

}  // namespace
}  // namespace ef
