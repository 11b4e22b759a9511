// strength sum over heads of (||W_Q||_F^2 + ||W_K||_F^2): plain weight decay, as a term, of these two alone.
#include "models/regulariser.h"

namespace ef {
namespace {

const Option<double> strength("strength", 0, at_least(0), "of the sum of squares");

struct L2OfQK : OverHeads {
  Real full;

  L2OfQK(const Builder&, const ModelConfig& c) : OverHeads(c), full(Real(strength(c.options))) {}

  Tensor loss(const Transformer& model, Index done) const override {
    Tensor total;
    for (const QKProduct& p : chosen(model)) {
      const Tensor squares = add(sum(mul(p.query, p.query)), sum(mul(p.key, p.key)));
      total = total ? add(total, squares) : squares;
    }
    return total ? scale(total, full * growth(done)) : total;
  }
};

std::string idle(const OptionValues& values) { return strength(values) == 0 ? "strength is 0" : ""; }

const Registered<Regulariser, L2OfQK> l2_of_qk("l2-qk", "squares of the query and key weights",
                                               OverHeads::options({strength}), idle);

}  // namespace
}  // namespace ef
