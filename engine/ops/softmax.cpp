// Softmax over the last axis: y_i = e^x_i / sum_j e^x_j.  dx_i = y_i (dy_i - sum_j y_j dy_j).
#include "engine/ops.h"
#include "engine/softmax_row.h"
#include "engine/tape.h"

namespace ef {
namespace {

// Row r is normalised over its first width(r) entries; the rest of the row is zero.
template <class Width>
Tensor softmax_rows(const char* op, const Tensor& x, Width width) {
  const Index rows = x.shape.rows(), c = x.shape.last();
  Tensor y = Tape::current().output(op, x.shape, {x});
  for (Index r = 0; r < rows; ++r) {
    softmax_row(x.data + r * c, y.data + r * c, width(r));
    std::fill(y.data + r * c + width(r), y.data + (r + 1) * c, Real(0));
  }
  return Tape::current().record(y, [=] {
    for (Index r = 0; r < rows; ++r) {
      const Real *out = y.data + r * c, *dy = y.grad + r * c;
      Real* dx = x.grad + r * c;
      const Index n = width(r);
      Real dot = 0;
      EF_REDUCE(dot) for (Index i = 0; i < n; ++i) dot += out[i] * dy[i];
      for (Index i = 0; i < n; ++i) dx[i] += out[i] * (dy[i] - dot);
    }
  });
}

}  // namespace

Tensor softmax(const Tensor& x) {
  const Index c = x.shape.last();
  return softmax_rows("softmax", x, [=](Index) { return c; });
}

Tensor causal_softmax(const Tensor& x) {
  const int rank = x.shape.rank;
  check_shape(rank >= 2 && x.shape[rank - 2] <= x.shape[rank - 1], "causal_softmax", "x", x,
              "[..., T, T], or fewer rows");
  const Index rows = x.shape[rank - 2], before = x.shape.last() - rows;
  return softmax_rows("causal_softmax", x, [=](Index row) { return before + row % rows + 1; });
}

}  // namespace ef
