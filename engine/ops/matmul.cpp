// Matrix products. With Y = A B:  dA = dY B^T,  dB = A^T dY.
#include <algorithm>

#include "engine/matmul/blas.h"
#include "engine/ops.h"
#include "engine/tape.h"

namespace ef {

using blas::gemm;
using enum blas::Op;

// y = x w^T + b.  dx = dy w,  dw = dy^T x,  db = sum over rows of dy.
Tensor linear(const Tensor& x, const Tensor& w, const Tensor& b) {
  const Index rows = x.shape.leading(), in = x.shape.last();
  check_shape(x.shape.rank >= 1, "linear", "x", x, "[..., K]");
  check_shape(w.shape.rank == 2 && w.shape[1] == in, "linear", "w", w, "[N, ", in, "]");
  const Index out = w.shape[0];
  if (b) check_shape(b.shape == Shape{out}, "linear", "b", b, Shape{out});
  Shape shape = x.shape;
  shape[shape.rank - 1] = out;

  Tensor y = Tape::current().output("linear", shape, {x, w, b});
  if (b) {
    for (Index r = 0; r < rows; ++r) std::copy_n(b.data, out, y.data + r * out);
  }
  const Real keeps = b ? Real(1) : Real(0);
  if (rows == 1 && !Tape::current().recording)  // a token that is written
    blas::gemv(as_is, out, in, 1, w.data, in, x.data, keeps, y.data);
  else
    gemm(as_is, transposed, rows, out, in, 1, x.data, in, w.data, in, keeps, y.data, out);
  return Tape::current().record(y, [=] {
    if (x.grad) gemm(as_is, as_is, rows, in, out, 1, y.grad, out, w.data, in, 1, x.grad, in);
    if (w.grad) gemm(transposed, as_is, out, in, rows, 1, y.grad, out, x.data, in, 1, w.grad, in);
    const Real* dy = y.grad;
    Real* db = b.grad;
    for (Index r = 0; db && r < rows; ++r) {
      for (Index i = 0; i < out; ++i) db[i] += dy[r * out + i];
    }
  });
}

// One product for each setting of the leading axes.
Tensor matmul(const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b) {
  const int rank = a.shape.rank;
  check_shape(rank >= 2, "matmul", "a", a, "at least two axes");
  bool fits = b.shape.rank == rank;
  Index batch = 1;
  for (int i = 0; fits && i < rank - 2; ++i) {
    fits = a.shape[i] == b.shape[i];
    batch *= a.shape[i];
  }
  const Index m = a.shape[rank - (transpose_a ? 1 : 2)], k = a.shape[rank - (transpose_a ? 2 : 1)];
  fits = fits && b.shape[rank - (transpose_b ? 1 : 2)] == k;
  check_shape(fits, "matmul", "b", b, "one that fits a ", a.shape);
  const Index n = b.shape[rank - (transpose_b ? 2 : 1)];
  Shape shape = a.shape;
  shape[rank - 2] = m;
  shape[rank - 1] = n;

  const Index lda = a.shape.last(), ldb = b.shape.last();
  const blas::Op op_a = transpose_a ? transposed : as_is, op_b = transpose_b ? transposed : as_is;
  const blas::Op not_a = transpose_a ? as_is : transposed, not_b = transpose_b ? as_is : transposed;
  Tensor y = Tape::current().output("matmul", shape, {a, b});
  for (Index i = 0; i < batch; ++i) {
    gemm(op_a, op_b, m, n, k, 1, a.data + i * m * k, lda, b.data + i * k * n, ldb, 0, y.data + i * m * n, n);
  }
  return Tape::current().record(y, [=] {
    for (Index i = 0; i < batch; ++i) {
      const Real *ai = a.data + i * m * k, *bi = b.data + i * k * n, *dy = y.grad + i * m * n;
      // d(op A) = dY op(B)^T, and where A is stored transposed its gradient is the transpose of that.
      if (a.grad && !transpose_a) gemm(as_is, not_b, m, k, n, 1, dy, n, bi, ldb, 1, a.grad + i * m * k, lda);
      if (a.grad && transpose_a)
        gemm(op_b, transposed, k, m, n, 1, bi, ldb, dy, n, 1, a.grad + i * m * k, lda);
      // d(op B) = op(A)^T dY, likewise.
      if (b.grad && !transpose_b) gemm(not_a, as_is, k, n, m, 1, ai, lda, dy, n, 1, b.grad + i * k * n, ldb);
      if (b.grad && transpose_b)
        gemm(transposed, op_a, n, k, m, 1, dy, n, ai, lda, 1, b.grad + i * k * n, ldb);
    }
  });
}

}  // namespace ef
