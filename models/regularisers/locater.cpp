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
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "engine/error.h"
#include "models/regulariser.h"

namespace ef {
namespace {

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

// ---- Options

// By name, in this order.
struct NamedScale {
  const char* name;
  Scale scale;
};
constexpr NamedScale scales[] = {{"frobenius", frobenius},
                                 {"logit-variance", logit_variance},
                                 {"trace", trace_of_square},
                                 {"variance", variance}};

std::vector<std::string> scale_names() {
  std::vector<std::string> names;
  for (const NamedScale& one : scales) names.emplace_back(one.name);
  return names;
}

const Option<double> strength("strength", 0, at_least(0), "of the scale of the spectrum");
const Option<double> hold("hold", 0, at_least(0), "of (tr W - c)^2");

std::string without_strength(const OptionValues& values) {
  return strength(values) == 0 ? "strength is 0" : "";
}
std::string without_hold(const OptionValues& values) { return hold(values) == 0 ? "hold is 0" : ""; }
std::string idle(const OptionValues& values) {
  return strength(values) == 0 && hold(values) == 0 ? "strength and hold are 0" : "";
}

const Option<std::string> scale_name("scale", "frobenius", scale_names(), "what measures the scale",
                                     without_strength);
const Option<std::string> mean("mean", "running", {"running", "initial", "target"},
                               "c: tr W as it runs, as it was at first, or the target", without_hold);

std::string without_target(const OptionValues& values) {
  if (hold(values) == 0) return "hold is 0";
  return mean(values) == "target" ? "" : "mean is " + mean(values);
}

const Option<double> target("target", 0, any_number(), "c where --mean target", without_target);
const Option<Index> target_warmup("target-warmup", 0, at_least(0),
                                  "updates over which c goes to the target from the initial tr W",
                                  without_target);

// ---- The term

// a + b where a may be nothing yet.
Tensor plus(const Tensor& a, const Tensor& b) { return a ? add(a, b) : b; }

struct Locater : OverHeads {
  double strength_, hold_, target_;
  std::string mean_;
  Index target_warmup_, heads_;
  Scale measure;
  Tensor held;     // state: c of each head of each layer
  Tensor initial;  // state: tr W at the start, where c goes from there to the target

  Locater(const Builder& b, const ModelConfig& c)
      : OverHeads(c),
        strength_(strength(c.options)),
        hold_(hold(c.options)),
        target_(target(c.options)),
        mean_(mean(c.options)),
        target_warmup_(target_warmup(c.options)),
        heads_(c.heads),
        measure(scale_of(scale_name(c.options))),
        held(b.state("held_mean", {c.layers, c.heads}, Init::zeros())) {
    if (measure == trace_of_square && strength_ > 0) {
      warnings.push_back(
          "locater: the scale tr W^2 has no minimum where W is not symmetric; the run stops if it runs away "
          "(frobenius and logit-variance are bounded)");
    }
    if (target_warmup_ > 0 && mean_ == "target")
      initial = b.state("initial_trace", {c.layers, c.heads}, Init::zeros());
    warn_of_weak_hold(c.channels / c.heads);
  }

  // Where the minimum's trace is more than a tenth off, the mean is hardly held.
  void warn_of_weak_hold(Index k) {
    const bool fixed = mean_ == "initial" || (mean_ == "target" && target_ != 0);
    const double enough = 9 * strength_ / static_cast<double>(k);
    if (!fixed || measure == variance || strength_ == 0 || hold_ >= enough) return;
    const double part = hold_ / (hold_ + enough / 9);
    char text[200];
    std::snprintf(
        text, sizeof text,
        "locater: hold %g is weak beside strength %g: their minimum has %.2g %% of the trace that is to "
        "be held (with hold %.2g, 90 %%)",
        hold_, strength_, 100 * part, enough);
    warnings.push_back(text);
  }

  static Scale scale_of(const std::string& name) {
    return std::find_if(std::begin(scales), std::end(scales), [&](auto& one) { return one.name == name; })
        ->scale;
  }

  Real& held_mean(const QKProduct& p) const { return held.data[p.layer * heads_ + p.head]; }

  // c of the update that follows `done`, on its way from the initial trace to the target. Without a way c
  // jumps there at the first update, and tr W follows within some tens; with --reg-warmup, too, as Adam's
  // steps are of one size however small a gradient is.
  Real c_on_its_way(const QKProduct& p, Index done, Real trace) const {
    if (!initial || done >= target_warmup_) return Real(target_);
    Real& from = initial.data[p.layer * heads_ + p.head];
    if (done == 0) from = trace;
    const Real share = Real(static_cast<double>(done + 1) / static_cast<double>(target_warmup_));
    return from + share * (Real(target_) - from);
  }

  void prepare(const Transformer& model, Index done) override {
    for (const QKProduct& p : chosen(model)) {
      Real& c = held_mean(p);
      const Real trace = Real(p.trace() / p.factor);
      if (mean_ == "target")
        c = c_on_its_way(p, done, trace);
      else if (done == 0)
        c = trace;
      else if (mean_ == "running")
        c = Real(0.99) * c + Real(0.01) * trace;
      if (measure == trace_of_square && strength_ > 0) check_runaway(p, done);
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
      if (strength_ > 0) total = plus(total, scale(measure(p), Real(strength_)));
      if (hold_ > 0) {
        const Tensor off = add(product_trace(p.query, p.key), constant(-held_mean(p)));
        total = plus(total, scale(mul(off, off), Real(hold_)));
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
const Registered<Regulariser, Locater> locater(
    "locater", "minimises the scale of the spectrum and holds its mean",
    OverHeads::options({strength, hold, scale_name, mean, target, target_warmup}), idle);

}  // namespace
}  // namespace ef
