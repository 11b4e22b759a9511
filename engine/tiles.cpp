// How a fast matrix product is built.
//
// The processor. An AMX tile is a register of 16 rows of 64 bytes; there are eight. One instruction takes a
// tile of A (16 rows of 32 bf16), a tile of B (32 rows of 16 columns of bf16) and adds their product to a
// tile of 16 x 16 float32: 16,384 operations in 16 cycles. All that follows serves to keep it busy.
//
// Register blocking. Four accumulators (2 x 2 tiles: a block of 32 x 32 of C) use each tile of A and of B
// that was loaded twice: half a load a product, where one accumulator would need two.
//
// Packing. The tiles of an operand are copied, in the order in which they will be used, into panels of 32
// lines (a line is a row of op(A) or a column of op(B): both run along k). Copying is where float32 becomes
// bf16, transposed operands are turned, and edges are filled up with zeros, so that the inner loop knows
// nothing of all this.
//
// Cache blocking. All that is packed stays in the L2 cache (2 MB) while it is used. k is cut into slices. Of
// the operand with fewer lines, as much of a slice as fits is packed once; the other operand passes by, some
// panels at a time, each multiplied with all that is kept. The panel used over and over at the moment is in
// L1.
//
// Writing. C is often larger than the operands, and not in the cache: each block of it is written a few rows
// at a time while the next block is being multiplied.
//
// Precision. A bf16 has 8 significant bits, a float32 has 24: x = hi + mid + lo, each part the rounding of
// what the parts before it left. Of the nine products of parts, the six largest make a float32 product; what
// the others would add is 2^-24 of it or less.
//
// Scaling. Tiles take numbers below 2^-126 for zero, and so would lose the small parts of small numbers.
// Packing therefore multiplies each line of a slice by the power of two that takes its largest number to
// 2^56, and writing undoes it. What is lost are numbers below 2^-160 of the largest in their line, and sums
// below 2^-200 of what the two largest would make. No sum overflows: 2^57 times 2^57 times the depth of a
// slice is a float32.
#include "engine/tiles.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <utility>
#include <vector>

#include "engine/error.h"

#if defined(__x86_64__) && defined(__linux__) &&      \
    ((defined(__clang__) && __clang_major__ >= 12) || \
     (!defined(__clang__) && defined(__GNUC__) && __GNUC__ >= 11))
#define EF_TILES_BUILT
#ifndef __clang__
// g++ 12 takes the "undefined" operands in its own header of intrinsics for mistakes.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace ef::tiles {

const std::string& unavailable() {
  static const std::string reason = why_unavailable();
  return reason;
}

#ifdef EF_TILES_BUILT

// Compiles one function for a processor with tiles, whatever the rest of the program is compiled for.
#define EF_TILES __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw")))

namespace {

constexpr Index side = 16;         // rows of a tile, and columns of 32 bits
constexpr Index tile_depth = 32;   // of the summed dimension k in a tile of A or B
constexpr Index panel_lines = 32;  // two tiles side by side

// A tile of A or B in memory. Each 32 bits hold a pair of bf16, of k and of k + 16: any pairing will do that
// is the same for A and B, and this one needs no shuffle where k is contiguous. A tile of A has 16 pairs of a
// line in a row; a tile of B has a pair of 16 lines in a row.
struct alignas(64) Tile {
  std::uint32_t row[side][side];
};

// op(A) or op(B) as lines along k.
struct Operand {
  const float* x;
  Index lines;
  Index stride;  // between lines where k is contiguous, between steps of k where lines are
  bool k_is_contiguous;
  bool is_b;

  const float* at(Index line, Index k) const {
    return k_is_contiguous ? x + line * stride + k : x + k * stride + line;
  }
};

constexpr Index divide_up(Index n, Index by) { return (n + by - 1) / by; }

// Bits 0 to n - 1, where n may be negative or over 16.
EF_TILES inline __mmask16 first(Index n) {
  return static_cast<__mmask16>((1u << std::clamp<Index>(n, 0, 16)) - 1);
}

// ---- Packing ----------------------------------------------------------------------------------------------

// Turns rows into columns: first within groups of 4 x 4 (twice, by unpacking), then the groups.
EF_TILES inline void transpose(Tile& tile) {
  __m512i x[side], y[side];
  for (int i = 0; i < 16; ++i) x[i] = _mm512_load_si512(tile.row[i]);
  for (int i = 0; i < 16; i += 2) {
    y[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
    y[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    for (int j = 0; j < 2; ++j) {
      x[i + 2 * j] = _mm512_unpacklo_epi64(y[i + j], y[i + j + 2]);
      x[i + 2 * j + 1] = _mm512_unpackhi_epi64(y[i + j], y[i + j + 2]);
    }
  }
  // Now the q-th quarter of x[4 g + i] is column 4 q + i of rows 4 g to 4 g + 3.
  for (int i = 0; i < 4; ++i) {
    const __m512i even_0 = _mm512_shuffle_i32x4(x[i], x[i + 4], 0x88);
    const __m512i even_1 = _mm512_shuffle_i32x4(x[i + 8], x[i + 12], 0x88);
    const __m512i odd_0 = _mm512_shuffle_i32x4(x[i], x[i + 4], 0xDD);
    const __m512i odd_1 = _mm512_shuffle_i32x4(x[i + 8], x[i + 12], 0xDD);
    _mm512_store_si512(tile.row[i], _mm512_shuffle_i32x4(even_0, even_1, 0x88));
    _mm512_store_si512(tile.row[i + 4], _mm512_shuffle_i32x4(odd_0, odd_1, 0x88));
    _mm512_store_si512(tile.row[i + 8], _mm512_shuffle_i32x4(even_0, even_1, 0xDD));
    _mm512_store_si512(tile.row[i + 12], _mm512_shuffle_i32x4(odd_0, odd_1, 0xDD));
  }
}

// Twice the bits of the largest |x| in each of the 32 lines of a panel: doubling drops the sign, and the
// order of what is left is that of the numbers, infinity and NaN above all.
template <bool k_is_contiguous>
EF_TILES inline void largest(const Operand& o, Index line, Index k, Index depth, __m512i top[2]) {
  top[0] = top[1] = _mm512_setzero_si512();
  if constexpr (k_is_contiguous) {
    for (Index half = 0; half < 2; ++half) {
      Tile tops = {};  // of each line 16, which are turned, so that the largest of each 16 are found at once
      const Index start = line + half * side, lines = std::min(o.lines - start, side);
      for (Index i = 0; i < lines; ++i) {
        __m512i most = _mm512_setzero_si512();
        for (Index j = 0; j < depth; j += side) {
          const __mmask16 mask = j + side <= depth ? static_cast<__mmask16>(0xFFFF) : first(depth - j);
          const __m512i x = _mm512_maskz_loadu_epi32(mask, o.at(start + i, k + j));
          most = _mm512_max_epu32(most, _mm512_add_epi32(x, x));
        }
        _mm512_store_si512(tops.row[i], most);
      }
      transpose(tops);
      for (const auto& row : tops.row) top[half] = _mm512_max_epu32(top[half], _mm512_load_si512(row));
    }
  } else {
    const __mmask16 mask[2] = {first(o.lines - line), first(o.lines - line - side)};
    for (Index j = 0; j < depth; ++j) {
      for (Index half = 0; half < 2; ++half) {
        const __m512i x = _mm512_maskz_loadu_epi32(mask[half], o.at(line + half * side, k + j));
        top[half] = _mm512_max_epu32(top[half], _mm512_add_epi32(x, x));
      }
    }
  }
}

// Packs the panel that begins at `line`, from k on, into tiles ordered by k, then part, then line; undo[i] is
// the exponent of the power of two by which line i is still to be multiplied. Returns whether all numbers are
// finite: a line with one that is not is packed as zeros.
template <int parts, bool k_is_contiguous>
EF_TILES bool pack(const Operand& o, Index line, Index k, Index depth, Tile* tiles, float* undo) {
  alignas(64) static constexpr float zeros[tile_depth] = {};  // read beyond the edges
  alignas(64) float scale[panel_lines];
  __mmask16 taken[2];
  bool finite = true;
  __m512i top[2];
  largest<k_is_contiguous>(o, line, k, depth, top);
  for (Index half = 0; half < 2; ++half) {
    const __m512i exponent = _mm512_srli_epi32(top[half], 24);  // with its bias of 127
    const __mmask16 inside = first(o.lines - line - half * side);
    taken[half] = _mm512_mask_cmplt_epu32_mask(inside, exponent, _mm512_set1_epi32(255));
    finite = finite && taken[half] == inside;
    // The exponent of the scale is 56 less that of the line, and no more than a float32 can have.
    const __m512i biased = _mm512_min_epi32(_mm512_sub_epi32(_mm512_set1_epi32(127 + 56 + 127), exponent),
                                            _mm512_set1_epi32(254));
    _mm512_store_si512(scale + half * side, _mm512_slli_epi32(biased, 23));
    _mm512_storeu_ps(undo + half * side,
                     _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_set1_epi32(127), biased)));
  }

  // To round to bf16, add half of the last bit that is kept, and drop the lower 16 bits.
  const __m512i half_bit = _mm512_set1_epi32(0x8000),
                upper_16 = _mm512_set1_epi32(static_cast<int>(0xFFFF0000u));
  for (Index j = 0; j < depth; j += tile_depth) {
    for (Index i = 0; i < side; ++i) {
      for (Index half = 0; half < 2; ++half) {
        __m512 u, v;
        if constexpr (k_is_contiguous) {  // row i of a tile: line i
          const Index l = half * side + i;
          const float* x = (taken[half] >> i & 1) != 0 ? o.at(line + l, k + j) : zeros;
          const __m512 s = _mm512_set1_ps(scale[l]);
          u = _mm512_mul_ps(_mm512_maskz_loadu_ps(first(depth - j), x), s);
          v = _mm512_mul_ps(_mm512_maskz_loadu_ps(first(depth - j - side), x + side), s);
        } else {  // row i of a tile: the pair i of k
          const float* x = i < depth - j ? o.at(line + half * side, k + j + i) : zeros;
          const float* y = i + side < depth - j ? o.at(line + half * side, k + j + i + side) : zeros;
          const __m512 s = _mm512_load_ps(scale + half * side);
          u = _mm512_mul_ps(_mm512_maskz_loadu_ps(taken[half], x), s);
          v = _mm512_mul_ps(_mm512_maskz_loadu_ps(taken[half], y), s);
        }
        for (Index part = 0; part < parts; ++part) {
          const __m512i rounded_u = _mm512_add_epi32(_mm512_castps_si512(u), half_bit);
          const __m512i rounded_v = _mm512_add_epi32(_mm512_castps_si512(v), half_bit);
          _mm512_store_si512(
              tiles[2 * part + half].row[i],
              _mm512_mask_blend_epi16(0xAAAAAAAA, _mm512_srli_epi32(rounded_u, 16), rounded_v));
          u = _mm512_sub_ps(u, _mm512_castsi512_ps(_mm512_and_si512(rounded_u, upper_16)));
          v = _mm512_sub_ps(v, _mm512_castsi512_ps(_mm512_and_si512(rounded_v, upper_16)));
        }
      }
    }
    if (k_is_contiguous == o.is_b) {
      for (Index i = 0; i < 2 * parts; ++i) transpose(tiles[i]);
    }
    tiles += 2 * parts;
  }
  return finite;
}

template <int parts>
bool pack(const Operand& o, Index line, Index k, Index depth, Tile* tiles, float* undo) {
  return o.k_is_contiguous ? pack<parts, true>(o, line, k, depth, tiles, undo)
                           : pack<parts, false>(o, line, k, depth, tiles, undo);
}

// ---- The inner loop ---------------------------------------------------------------------------------------

// A block of C, 32 x 32 or less at the edges, that is multiplied and has yet to be written.
struct Block {
  alignas(64) float product[panel_lines * panel_lines];
  const float *undo_rows, *undo_columns;
  float alpha, beta, *c;
  Index ldc, columns, rows = 0, written = 0;  // rows, and how many of them are written
};

// C = alpha product + beta C for the next `count` rows, the scaling of rows and columns undone.
EF_TILES inline void write(Block& block, Index count) {
  const __m512 alphas = _mm512_set1_ps(block.alpha), betas = _mm512_set1_ps(block.beta);
  const Index end = std::min(block.written + count, block.rows);
  for (Index i = block.written; i < end; ++i) {
    for (Index half = 0; half < panel_lines; half += side) {
      const __mmask16 mask = first(block.columns - half);
      const __m512 exponents =
          _mm512_add_ps(_mm512_set1_ps(block.undo_rows[i]), _mm512_loadu_ps(block.undo_columns + half));
      const __m512 x = _mm512_load_ps(block.product + i * panel_lines + half);
      __m512 y = _mm512_mul_ps(alphas, _mm512_scalef_ps(x, exponents));  // x 2^exponent, rounded once
      float* to = block.c + i * block.ldc + half;
      if (block.beta != 0) y = _mm512_fmadd_ps(betas, _mm512_maskz_loadu_ps(mask, to), y);
      _mm512_mask_storeu_ps(to, mask, y);
    }
  }
  block.written = end;
}

// Tile registers 0 to 3 accumulate, 4 and 5 hold tiles of A, 6 and 7 of B. The compiler does not know that
// tile instructions read memory, so multiply() begins with a barrier for the stores that packed the tiles.

EF_TILES inline void load_a(const Tile* tile) {
  _tile_loadd(4, tile, 64);
  _tile_loadd(5, tile + 1, 64);
}

EF_TILES inline void load_b(const Tile* tile) {
  _tile_loadd(6, tile, 64);
  _tile_loadd(7, tile + 1, 64);
}

EF_TILES inline void multiply_loaded() {
  _tile_dpbf16ps(0, 4, 6);
  _tile_dpbf16ps(1, 4, 7);
  _tile_dpbf16ps(2, 5, 6);
  _tile_dpbf16ps(3, 5, 7);
}

// The product of a panel of A and a panel of B, 32 x 32; meanwhile, a few rows a step, the block before is
// written: tiles and vectors are worked on by separate units of the processor. All small products come before
// the first large one, while the sums are still small and so are their roundings. They are ordered so that
// each differs from the one before in one operand only.
template <int parts>
EF_TILES void multiply(const Tile* a, const Tile* b, Index steps, Block& now, Block& before) {
  asm volatile("" ::: "memory");
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  constexpr Index hi = 0, mid = 2, lo = 4, step = 2 * parts;
  const Index share = divide_up(panel_lines, steps);  // of the rows to be written
  for (Index i = 0; i < steps && parts > 1; ++i) {
    const Tile *x = a + i * step, *y = b + i * step;
    load_a(x + hi);
    if constexpr (parts == 3) {
      load_b(y + lo);
      multiply_loaded();
    }
    load_b(y + mid);
    multiply_loaded();
    load_a(x + mid);
    if constexpr (parts == 3) multiply_loaded();
    load_b(y + hi);
    multiply_loaded();
    if constexpr (parts == 3) {
      load_a(x + lo);
      multiply_loaded();
    }
    write(before, share);
  }
  for (Index i = 0; i < steps; ++i) {
    load_a(a + i * step + hi);
    load_b(b + i * step + hi);
    multiply_loaded();
    if constexpr (parts == 1) write(before, share);
  }
  constexpr Index row = panel_lines * sizeof(float);
  _tile_stored(0, now.product, row);
  _tile_stored(1, now.product + side, row);
  _tile_stored(2, now.product + side * panel_lines, row);
  _tile_stored(3, now.product + side * panel_lines + side, row);
}

// ---- Infinity and NaN -------------------------------------------------------------------------------------

// Lines with such numbers were packed as zeros. Only these numbers decide what the elements of C in the line
// become, so their products alone are added here. An element whose row and column both have some may get a
// product twice: that changes no infinity and no NaN.
void add_not_finite(const Operand& a, const Operand& b, Index k, float alpha, float* c, Index ldc) {
  const auto add = [&](const Operand& from, const Operand& to, Index step_from, Index step_to) {
    for (Index i = 0; i < from.lines; ++i) {
      for (Index l = 0; l < k; ++l) {
        const float x = *from.at(i, l);
        if (std::isfinite(x)) continue;
        float* y = c + i * step_from;
        for (Index j = 0; j < to.lines; ++j) y[j * step_to] += alpha * (x * *to.at(j, l));
        if (std::isnan(x)) break;  // the whole line is NaN now
      }
    }
  };
  add(a, b, ldc, 1);
  add(b, a, 1, ldc);
}

// ---- Cache blocking ---------------------------------------------------------------------------------------

// Palette 1: all eight tiles with 16 rows of 64 bytes.
struct alignas(64) Configuration {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
constexpr Configuration configuration;

// Packed panels, and by which powers of two their lines are still to be multiplied. A thread keeps its memory
// for the next product.
struct Panels {
  std::vector<Tile> tiles;
  std::vector<float> undo;

  void resize(Index panels, Index panel_tiles) {
    const auto size = [](Index n) { return static_cast<std::size_t>(n); };
    if (tiles.size() < size(panels * panel_tiles)) tiles.resize(size(panels * panel_tiles));
    if (undo.size() < size(panels * panel_lines)) undo.resize(size(panels * panel_lines));
  }
};

template <int parts>
EF_TILES void product(const Operand& a, const Operand& b, Index k, float alpha, float beta, float* c,
                      Index ldc) {
  // k in slices of about the same depth, whose panels take at most 96 KB. How k is cut decides how sums are
  // rounded, so it must depend on k alone.
  const Index slices = divide_up(k, 1536 / parts);
  const Index depth = divide_up(divide_up(k, slices), tile_depth) * tile_depth;
  const Index panel_tiles = depth / tile_depth * 2 * parts;

  // Of the operand with fewer lines, chunks of about the same size, up to 1.2 MB, are kept. Of the other, up
  // to 400 KB are packed at once: rows of C are then written in longer runs, and the tiles seldom fall
  // asleep, which they do where they rest for 0.3 us, to take 0.5 us to wake up.
  const bool keep_b = b.lines <= a.lines;
  const Operand &kept = keep_b ? b : a, &passing = keep_b ? a : b;
  const Index kept_panels = divide_up(kept.lines, panel_lines);
  const Index passing_panels = divide_up(passing.lines, panel_lines);
  const Index chunk = divide_up(kept_panels, divide_up(kept_panels * panel_tiles, 1200));
  const Index batch = std::min(passing_panels, std::max<Index>(1, 400 / panel_tiles));

  thread_local Panels kept_buffer, passing_buffer;
  kept_buffer.resize(chunk, panel_tiles);
  passing_buffer.resize(batch, panel_tiles);
  Panels &panels_a = keep_b ? passing_buffer : kept_buffer, &panels_b = keep_b ? kept_buffer : passing_buffer;
  Block blocks[2], *now = &blocks[0], *before = &blocks[1];
  bool finite = true;

  _tile_loadconfig(&configuration);
  for (Index from = 0; from < k; from += depth) {
    const Index rest = std::min(depth, k - from), steps = divide_up(rest, tile_depth);
    const auto pack_panels = [&](const Operand& o, Index begin, Index end, Panels& to) {
      // Short pieces of rows that lie far apart: the processor does not foresee them by itself.
      if (!o.k_is_contiguous && o.lines > 4096) {
        const Index end_line = std::min(o.lines, end * panel_lines);
        for (Index l = from; l < from + rest; ++l) {
          for (Index i = begin * panel_lines; i < end_line; i += side) __builtin_prefetch(o.at(i, l), 0, 2);
        }
      }
      for (Index p = begin; p < end; ++p) {
        finite &= pack<parts>(o, p * panel_lines, from, rest, &to.tiles[0] + (p - begin) * panel_tiles,
                              &to.undo[0] + (p - begin) * panel_lines);
      }
    };
    for (Index first_kept = 0; first_kept < kept_panels; first_kept += chunk) {
      const Index end_kept = std::min(first_kept + chunk, kept_panels);
      pack_panels(kept, first_kept, end_kept, kept_buffer);
      for (Index first_passing = 0; first_passing < passing_panels; first_passing += batch) {
        const Index end_passing = std::min(first_passing + batch, passing_panels);
        write(*before, panel_lines);  // before what it needs is packed over
        pack_panels(passing, first_passing, end_passing, passing_buffer);
        for (Index j = 0; j < end_kept - first_kept; ++j) {
          for (Index i = 0; i < end_passing - first_passing; ++i) {
            const Index slot_a = keep_b ? i : j, slot_b = keep_b ? j : i;
            const Index row = ((keep_b ? first_passing : first_kept) + slot_a) * panel_lines;
            const Index column = ((keep_b ? first_kept : first_passing) + slot_b) * panel_lines;
            now->undo_rows = &panels_a.undo[0] + slot_a * panel_lines;
            now->undo_columns = &panels_b.undo[0] + slot_b * panel_lines;
            now->alpha = alpha;
            now->beta = from == 0 ? beta : 1;
            now->c = c + row * ldc + column;
            now->ldc = ldc;
            now->rows = std::min(a.lines - row, panel_lines);
            now->columns = std::min(b.lines - column, panel_lines);
            now->written = 0;
            multiply<parts>(&panels_a.tiles[0] + slot_a * panel_tiles,
                            &panels_b.tiles[0] + slot_b * panel_tiles, steps, *now, *before);
            std::swap(now, before);
          }
        }
      }
      write(*before, panel_lines);
    }
  }
  _tile_release();
  if (!finite) add_not_finite(a, b, k, alpha, c, ldc);
}

}  // namespace

std::string why_unavailable() {
  if (const char* mask = std::getenv("EIGENFORMER_NO_TILES"); mask != nullptr && std::string(mask) == "1")
    return "EIGENFORMER_NO_TILES=1 switches AMX tiles off";
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  const bool known = __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0;
  const bool amx_tile = known && (edx >> 24 & 1) != 0, amx_bf16 = known && (edx >> 22 & 1) != 0;
  if (!amx_tile || !amx_bf16) {
    return __builtin_cpu_supports("avx512f") ? "this processor has AVX-512 but no AMX tiles for bf16"
           : __builtin_cpu_supports("avx2")  ? "this processor has AVX2 but no AMX tiles"
                                             : "this processor has neither AVX2 nor AMX tiles";
  }
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw"))
    return "this processor has AMX tiles, but AVX-512, which packs for them, is switched off";
  // Linux sets the 8 KB a thread that tiles need aside only for a program that has asked.
  constexpr long request_permission = 0x1023, tile_data = 18;
  if (syscall(SYS_arch_prctl, request_permission, tile_data) != 0)
    return "this processor has AMX tiles, but Linux does not grant their use (it does from version 5.16 on)";
  return "";
}

void gemm(Precision precision, blas::Op op_a, blas::Op op_b, Index m, Index n, Index k, float alpha,
          const float* a, Index lda, const float* b, Index ldb, float beta, float* c, Index ldc) {
  if (!unavailable().empty()) fail("tiles::gemm: " + unavailable());
  if (k == 0 || alpha == 0) {
    for (Index i = 0; i < m; ++i) {
      for (Index j = 0; j < n; ++j) c[i * ldc + j] = beta == 0 ? 0 : beta * c[i * ldc + j];
    }
    return;
  }
  if (m == 0 || n == 0) return;
  const Operand rows{a, m, lda, op_a == blas::Op::as_is, false};
  const Operand columns{b, n, ldb, op_b == blas::Op::transposed, true};
  switch (precision) {
    case Precision::split3:
      return product<3>(rows, columns, k, alpha, beta, c, ldc);
    case Precision::split2:
      return product<2>(rows, columns, k, alpha, beta, c, ldc);
    case Precision::bf16:
      return product<1>(rows, columns, k, alpha, beta, c, ldc);
  }
}

#else

std::string why_unavailable() {
  return "built without AMX tiles: they need Linux on x86-64, and g++ 11 or clang++ 12 to compile them";
}

void gemm(Precision, blas::Op, blas::Op, Index, Index, Index, float, const float*, Index, const float*, Index,
          float, float*, Index) {
  fail("tiles::gemm: " + unavailable());
}

#endif

}  // namespace ef::tiles
