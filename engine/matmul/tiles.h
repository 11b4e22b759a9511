// Matrix products of bf16 numbers (the upper half of a float32): by AMX, the tiles of Intel's server
// processors from 2023 on, at ten times the rate of float32 arithmetic, or by the vectors of AVX512-BF16,
// which AMD's processors have from 2022 on (Zen 4), at about twice that rate. Float32 goes in and comes out.
#pragma once
#include <string>

#include "engine/matmul/blas.h"

namespace ef::tiles {

// How many bf16 parts each float32 is split into, and so how far an element of op(A) op(B) is off, as a
// fraction of the same element of |op(A)| |op(B)|.
enum class Precision {
  split3,  // hi + mid + lo, six tile products: as BLAS in float32, usually less (where k is 1, up to 2^-23)
  split2,  // hi + mid, three tile products: at most 2^-15
  bf16,    // hi, one tile product: at most 2^-7
};

// Who multiplies. Both round to the same bf16 numbers and sum in float32, in another order.
enum class Unit { amx, avx512_bf16 };

// Empty where there is a unit; else why not. EIGENFORMER_NO_TILES=1 in the environment switches both off,
// EIGENFORMER_NO_AMX=1 the one.
const std::string& unavailable();

// What unavailable() returns, found out anew; the same of one unit.
std::string why_unavailable();
std::string why_unavailable(Unit unit);

// The unit that multiplies: AMX where there is one, unless use() has named another, which it must not do
// while a thread multiplies. use() throws Error where that unit is unavailable.
Unit unit();
void use(Unit unit);

// As blas::gemm, for float32; throws Error where neither unit is available. The same bits every time on one
// unit, whatever the alignment; an element of C depends on nothing but its row of op(A), its column of op(B),
// and itself. Blocks of 32 x 32 are computed, whatever is needed of them: with fewer than 16 rows or columns,
// and below about 64 x 64 x 64, BLAS is faster than split3.
void gemm(Precision precision, blas::Op op_a, blas::Op op_b, Index m, Index n, Index k, float alpha,
          const float* a, Index lda, const float* b, Index ldb, float beta, float* c, Index ldc);

// Weights that many products read between two updates are packed once, for all threads. From hold() to
// release() the n numbers at x must not change: what gemm packs of them for `precision` it keeps, and results
// stay the same to the bit. After another hold() of the same numbers, pack_held() packs anew what was used
// since the first, on `workers` threads at once; what is not packed by then, gemm packs when it needs it.
// What is kept takes, for each way in which a weight is read (forward, backward), 2 bytes a number and part.
void hold(Precision precision, const float* x, Index n);
void release();
void pack_held(Index worker, Index workers);

}  // namespace ef::tiles
