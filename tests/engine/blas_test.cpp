// The library that multiplies: who it is, and that wrong products are noticed.
#include "engine/matmul/blas.h"
#include "tests/helpers.h"

using namespace ef;
using blas::Op;

namespace {

// Two kernels with faults as real ones had: a lost remainder, and a result that is not added.
void without_last_column(Op op_a, Op op_b, Index m, Index n, Index k, Real alpha, const Real* a, Index lda,
                         const Real* b, Index ldb, Real beta, Real* c, Index ldc) {
  blas::gemm_exact(op_a, op_b, m, n - 1, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
void wrong_if_both_transposed(Op op_a, Op op_b, Index m, Index n, Index k, Real alpha, const Real* a,
                              Index lda, const Real* b, Index ldb, Real beta, Real* c, Index ldc) {
  const bool both = op_a == Op::transposed && op_b == Op::transposed;
  blas::gemm_exact(op_a, op_b, m, n, k, alpha, a, lda, b, ldb, both ? 0 : beta, c, ldc);
}

}  // namespace

TEST_CASE("products of whole numbers are exact, and a kernel that gets them wrong is named", "[blas]") {
  blas::check_products();
  const double flops = blas::flops_of_this_thread();
  blas::check_products();
  CHECK(blas::flops_of_this_thread() == flops);
  for (const blas::Gemm wrong : {without_last_column, wrong_if_both_transposed})
    check_throws([&] { blas::check_products(wrong); },
                 {"multiplies wrongly", blas::library().kernel, "expected", "OPENBLAS_CORETYPE"});
  check_throws([] { blas::check_products(without_last_column); }, {"row 1, column 53"});
}

TEST_CASE("the library names itself and its kernel", "[blas]") {
  CHECK(!blas::library().version.empty());
  CHECK(!blas::library().kernel.empty());
  CHECK(contains(blas::library().text(), ", kernel " + blas::library().kernel));
}
