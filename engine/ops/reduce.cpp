// Reductions along an axis, and the sum that keeps it.
#include <cmath>
#include <limits>

#include "engine/ops.h"
#include "engine/ops/axis.h"
#include "engine/softmax_row.h"
#include "engine/tape.h"

namespace ef {
namespace {

// y = factor * sum along the axis;  dx = factor dy for every element of the sum.
Tensor reduce(const char* op, const Tensor& x, int axis, Real factor) {
  const Split s(op, x, axis);
  Tensor y = Tape::current().output(op, without_axis(x.shape, axis), {x});
  for (Index o = 0; o < s.outer; ++o) {
    for (Index i = 0; i < s.inner; ++i) {
      double total = 0;  // double: a float32 sum of many terms would lose digits
      for (Index k = 0; k < s.n; ++k) total += static_cast<double>(x.data[s.at(o, k) + i]);
      y.data[o * s.inner + i] = Real(total) * factor;
    }
  }
  return Tape::current().record(y, [=] {
    for (Index o = 0; o < s.outer; ++o) {
      for (Index k = 0; k < s.n; ++k) {
        Real* dx = x.grad + s.at(o, k);
        for (Index i = 0; i < s.inner; ++i) dx[i] += factor * y.grad[o * s.inner + i];
      }
    }
  });
}

Tensor flat(const Tensor& x) { return reshape(x, {x.size()}); }

void check_some(const char* op, Index n) {
  if (n == 0) fail(std::string(op) + ": an empty axis", "0 elements", "at least 1");
}

Tensor mean_of(const Tensor& x, int axis) {
  const Index n = Split("mean", x, axis).n;
  check_some("mean", n);
  return reduce("mean", x, axis, 1 / Real(n));
}

}  // namespace

Tensor sum(const Tensor& x) { return reduce("sum", flat(x), 0, 1); }
Tensor sum(const Tensor& x, int axis) { return reduce("sum", x, axis, 1); }
Tensor mean(const Tensor& x) { return mean_of(flat(x), 0); }
Tensor mean(const Tensor& x, int axis) { return mean_of(x, axis); }

// y = x_k, k the first of the largest; a NaN is larger than all.  dx_k = dy.  Saved: k.
Tensor max(const Tensor& x, int axis) {
  const Split s("max", x, axis);
  check_some("max", s.n);
  Tape& tape = Tape::current();
  Tensor y = tape.output("max", without_axis(x.shape, axis), {x});
  Index* places = tape.activations().allocate<Index>(y.size());
  for (Index o = 0; o < s.outer; ++o) {
    for (Index i = 0; i < s.inner; ++i) {
      Index best = s.at(o, 0) + i;
      for (Index k = 1; k < s.n; ++k) {
        const Index at = s.at(o, k) + i;
        if (x.data[at] > x.data[best] || (std::isnan(x.data[at]) && !std::isnan(x.data[best]))) best = at;
      }
      places[o * s.inner + i] = best;
      y.data[o * s.inner + i] = x.data[best];
    }
  }
  return tape.record(y, [=] {
    for (Index i = 0; i < y.size(); ++i) x.grad[places[i]] += y.grad[i];
  });
}

// y = c + log(sum e^(x - c)), c = max x.  dx = softmax(x) dy. Where all x are -infinity so is y, and nothing
// passes back.  Saved: c and 1 / sum of each line, as y has lost digits where c is large.
Tensor log_sum_exp(const Tensor& x, int axis) {
  constexpr Real minus_infinity = -std::numeric_limits<Real>::infinity();
  const Split s("log_sum_exp", x, axis);
  check_some("log_sum_exp", s.n);
  Tape& tape = Tape::current();
  Tensor y = tape.output("log_sum_exp", without_axis(x.shape, axis), {x});
  SoftmaxOf* softmaxes = tape.activations().allocate<SoftmaxOf>(y.size());
  for (Index o = 0; o < s.outer; ++o) {
    for (Index i = 0; i < s.inner; ++i) {
      const Real* line = x.data + s.at(o, 0) + i;
      Real top = line[0];
      for (Index k = 1; k < s.n; ++k) {
        const Real next = line[k * s.inner];
        top = next > top || std::isnan(next) ? next : top;  // what is not seen is -infinity; a NaN passes
      }
      double total = 0;
      for (Index k = 0; k < s.n; ++k)
        total += static_cast<double>(fast_exp_at_most_88(line[k * s.inner] - top));
      y.data[o * s.inner + i] =
          top == minus_infinity ? top : Real(static_cast<double>(top) + std::log(total));
      softmaxes[o * s.inner + i] = {top, Real(1 / total)};
    }
  }
  return tape.record(y, [=] {
    for (Index o = 0; o < s.outer; ++o) {
      for (Index k = 0; k < s.n; ++k) {
        const Real *in = x.data + s.at(o, k), *dy = y.grad + o * s.inner;
        const SoftmaxOf* of = softmaxes + o * s.inner;
        Real* dx = x.grad + s.at(o, k);
        for (Index i = 0; i < s.inner; ++i) {
          if (in[i] == minus_infinity) continue;
          dx[i] += fast_exp_at_most_88(in[i] - of[i].top) * of[i].inverse * dy[i];
        }
      }
    }
  });
}

// y_k = x_0 + ... + x_k.  dx_k = dy_k + dy_(k+1) + ...: the same from the other end.
Tensor cumulative_sum(const Tensor& x, int axis) {
  const Split s("cumulative_sum", x, axis);
  Tensor y = Tape::current().output("cumulative_sum", x.shape, {x});
  for (Index o = 0; o < s.outer; ++o) {
    for (Index i = 0; i < s.inner; ++i) {
      double total = 0;  // double: a float32 sum of many terms would lose digits
      for (Index k = 0; k < s.n; ++k) {
        total += static_cast<double>(x.data[s.at(o, k) + i]);
        y.data[s.at(o, k) + i] = Real(total);
      }
    }
  }
  return Tape::current().record(y, [=] {
    for (Index o = 0; o < s.outer; ++o) {
      for (Index i = 0; i < s.inner; ++i) {
        double total = 0;
        for (Index k = s.n; k-- > 0;) {
          total += static_cast<double>(y.grad[s.at(o, k) + i]);
          x.grad[s.at(o, k) + i] += Real(total);
        }
      }
    }
  });
}

}  // namespace ef
