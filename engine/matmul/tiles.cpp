// How a fast matrix product is built.
//
// The processor. An AMX tile is a register of 16 rows of 64 bytes; there are eight. One instruction takes a
// tile of A (16 rows of 32 bf16), a tile of B (32 rows of 16 columns of bf16) and adds their product to a
// tile of 16 x 16 float32: 16,384 operations in 16 cycles. All that follows serves to keep it busy. Where
// there is no AMX, an instruction of AVX512-BF16 does the same for 16 columns of one row and one pair of k,
// 64 operations, in a cycle or half of one: same numbers, same order of parts, same memory; only
// multiply_by_amx() and multiply_by_vectors() differ.
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
#include "engine/matmul/tiles.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <tuple>
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

// Compiles one function for a processor with tiles, whatever the rest of the program is compiled for. No
// compiler uses the instructions of AMX or AVX512-BF16 unasked.
#define EF_TILES __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512bf16")))

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

EF_TILES inline __m512i larger(__m512i most, __m512i x) {
  return _mm512_max_epu32(most, _mm512_add_epi32(x, x));
}

// Twice the bits of the largest |x| in each of the 32 lines of a panel: doubling drops the sign, and the
// order of what is left is that of the numbers, infinity and NaN above all. `whole` promises that all 32
// lines exist and depth is a multiple of 32, so that no mask is needed; so it does below.
template <bool k_is_contiguous, bool whole>
EF_TILES inline void largest(const Operand& o, Index line, Index k, Index depth, __m512i top[2]) {
  if constexpr (k_is_contiguous) {
    for (Index half = 0; half < 2; ++half) {
      Tile tops = {};  // of each line 16, which are turned, so that the largest of each 16 are found at once
      const Index start = line + half * side, lines = whole ? side : std::min(o.lines - start, side);
      for (Index i = 0; i < lines; ++i) {
        const float* x = o.x + (start + i) * o.stride + k;
        __m512i most = _mm512_setzero_si512(), most_too = most;
        Index j = 0;
        for (; j + tile_depth <= depth; j += tile_depth) {
          most = larger(most, _mm512_loadu_si512(x + j));
          most_too = larger(most_too, _mm512_loadu_si512(x + j + side));
        }
        for (; !whole && j < depth; j += side)
          most = larger(most, _mm512_maskz_loadu_epi32(first(depth - j), x + j));
        _mm512_store_si512(tops.row[i], _mm512_max_epu32(most, most_too));
      }
      transpose(tops);
      top[half] = _mm512_setzero_si512();
      for (const auto& row : tops.row) top[half] = _mm512_max_epu32(top[half], _mm512_load_si512(row));
    }
  } else {
    const __mmask16 mask_0 = whole ? 0xFFFF : first(o.lines - line);
    const __mmask16 mask_1 = whole ? 0xFFFF : first(o.lines - line - side);
    const float* x = o.x + k * o.stride + line;
    __m512i most_0 = _mm512_setzero_si512(), most_1 = most_0;
    for (Index j = 0; j < depth; ++j, x += o.stride) {
      most_0 = larger(most_0, _mm512_maskz_loadu_epi32(mask_0, x));
      most_1 = larger(most_1, _mm512_maskz_loadu_epi32(mask_1, x + side));
    }
    top[0] = most_0;
    top[1] = most_1;
  }
}

// Packs the panel that begins at `line`, from k on, into tiles ordered by k, then part, then line; undo[i] is
// the exponent of the power of two by which line i is still to be multiplied. Returns whether all numbers are
// finite: a line with one that is not is packed as zeros.
template <int parts, bool k_is_contiguous, bool whole>
EF_TILES bool pack(const Operand& o, Index line, Index k, Index depth, Tile* tiles, float* undo) {
  alignas(64) static constexpr float zeros[tile_depth] = {};  // read beyond the edges
  alignas(64) float scale[panel_lines];
  __mmask16 taken[2];
  bool finite = true;
  __m512i top[2];
  largest<k_is_contiguous, whole>(o, line, k, depth, top);
  for (Index half = 0; half < 2; ++half) {
    const __m512i exponent = _mm512_srli_epi32(top[half], 24);  // with its bias of 127
    const __mmask16 inside = whole ? 0xFFFF : first(o.lines - line - half * side);
    taken[half] = _mm512_mask_cmplt_epu32_mask(inside, exponent, _mm512_set1_epi32(255));
    finite = finite && taken[half] == inside;
    if (whole && !finite) return pack<parts, k_is_contiguous, false>(o, line, k, depth, tiles, undo);
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
          const float* x = o.x + (line + l) * o.stride + k + j;
          if (!whole && (taken[half] >> i & 1) == 0) x = zeros;
          const __m512 s = _mm512_set1_ps(scale[l]);
          u = _mm512_mul_ps(_mm512_maskz_loadu_ps(whole ? 0xFFFF : first(depth - j), x), s);
          v = _mm512_mul_ps(_mm512_maskz_loadu_ps(whole ? 0xFFFF : first(depth - j - side), x + side), s);
        } else {  // row i of a tile: the pair i of k
          const float *x = o.x + (k + j + i) * o.stride + line + half * side, *y = x + side * o.stride;
          if (!whole && i >= depth - j) x = zeros;
          if (!whole && i + side >= depth - j) y = zeros;
          const __m512 s = _mm512_load_ps(scale + half * side);
          u = _mm512_mul_ps(_mm512_maskz_loadu_ps(whole ? 0xFFFF : taken[half], x), s);
          v = _mm512_mul_ps(_mm512_maskz_loadu_ps(whole ? 0xFFFF : taken[half], y), s);
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
  const bool whole = line + panel_lines <= o.lines && depth % tile_depth == 0;
  if (o.k_is_contiguous) {
    return whole ? pack<parts, true, true>(o, line, k, depth, tiles, undo)
                 : pack<parts, true, false>(o, line, k, depth, tiles, undo);
  }
  return whole ? pack<parts, false, true>(o, line, k, depth, tiles, undo)
               : pack<parts, false, false>(o, line, k, depth, tiles, undo);
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

// Where the parts of a panel lie among the tiles of a step of k: two tiles each.
constexpr Index hi = 0, mid = 2, lo = 4;

// Tile registers 0 to 3 accumulate, 4 and 5 hold tiles of A, 6 and 7 of B. The compiler does not know that
// tile instructions read memory, so multiply_by_amx() begins with a barrier for the stores that packed the
// tiles.

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
EF_TILES void multiply_by_amx(const Tile* a, const Tile* b, Index steps, Block& now, Block& before) {
  asm volatile("" ::: "memory");
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  constexpr Index step = 2 * parts;
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

// Adds the products of one part of A and one of B to 8 rows of the block, steps of k `step` tiles apart. The
// 16 accumulators, two of B and one of A leave registers to spare; two loads of B and eight of A serve 16
// products, so that the units that multiply are never kept waiting.
constexpr Index strip = 8;
EF_TILES inline __attribute__((always_inline)) void add_strip(const Tile* a, const Tile* b, Index row,
                                                              Index steps, Index step,
                                                              __m512 (&sum)[strip][2]) {
  for (Index i = 0; i < steps; ++i, a += step, b += step) {
    const std::uint32_t* pairs = a->row[row];
    for (Index pair = 0; pair < side; ++pair, ++pairs) {
      const auto left = (__m512bh)_mm512_load_si512(b[0].row[pair]);
      const auto right = (__m512bh)_mm512_load_si512(b[1].row[pair]);
      for (Index l = 0; l < strip; ++l) {
        const auto both = (__m512bh)_mm512_set1_epi32(static_cast<int>(pairs[l * side]));
        sum[l][0] = _mm512_dpbf16_ps(sum[l][0], both, left);
        sum[l][1] = _mm512_dpbf16_ps(sum[l][1], both, right);
      }
    }
  }
}

// The same product by AVX512-BF16, a strip after the other, whose sums stay in registers from the first step
// to the last. Here writing and multiplying are done by the same units: nothing is gained by doing both at
// once.
template <int parts>
EF_TILES void multiply_by_vectors(const Tile* a, const Tile* b, Index steps, Block& now, Block& before) {
  write(before, panel_lines);
  constexpr Index step = 2 * parts;
  for (Index row = 0; row < now.rows; row += strip) {
    const Tile* x = a + row / side;
    const Index in_tile = row % side;
    __m512 sum[strip][2];
    for (auto& of_row : sum) of_row[0] = of_row[1] = _mm512_setzero_ps();
    if constexpr (parts == 3) {
      add_strip(x + hi, b + lo, in_tile, steps, step, sum);
      add_strip(x + mid, b + mid, in_tile, steps, step, sum);
      add_strip(x + lo, b + hi, in_tile, steps, step, sum);
    }
    if constexpr (parts > 1) {
      add_strip(x + hi, b + mid, in_tile, steps, step, sum);
      add_strip(x + mid, b + hi, in_tile, steps, step, sum);
    }
    if constexpr (parts == 3) {
      // As AMX does in a tile, each step is summed by itself first: many small sums round less than a long
      // one.
      for (Index i = 0; i < steps; ++i) {
        __m512 of_step[strip][2];
        for (auto& of_row : of_step) of_row[0] = of_row[1] = _mm512_setzero_ps();
        add_strip(x + i * step + hi, b + i * step + hi, in_tile, 1, step, of_step);
        for (Index l = 0; l < strip; ++l) {
          sum[l][0] = _mm512_add_ps(sum[l][0], of_step[l][0]);
          sum[l][1] = _mm512_add_ps(sum[l][1], of_step[l][1]);
        }
      }
    } else {
      add_strip(x + hi, b + hi, in_tile, steps, step, sum);
    }
    for (Index l = 0; l < strip; ++l) {
      _mm512_store_ps(now.product + (row + l) * panel_lines, sum[l][0]);
      _mm512_store_ps(now.product + (row + l) * panel_lines + side, sum[l][1]);
    }
  }
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

// How k is cut into slices of about the same depth, whose panels take at most 96 KB. It decides how sums are
// rounded, so it must depend on k alone.
struct Slices {
  Index k, depth, panel_tiles;

  Slices(Index summed, Index parts) : k(summed) {
    depth = divide_up(divide_up(k, divide_up(k, 1536 / parts)), tile_depth) * tile_depth;
    panel_tiles = depth / tile_depth * 2 * parts;
  }
  Index count() const { return divide_up(k, depth); }
  Index size(Index slice) const { return std::min(depth, k - slice * depth); }
};

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

// Packs the panels [begin, end) of a slice, to the places `at`, `at` + 1, ... Returns whether all is finite.
template <int parts>
bool pack_panels(const Operand& o, const Slices& slices, Index slice, Index begin, Index end, Panels& to,
                 Index at) {
  const Index from = slice * slices.depth, size = slices.size(slice);
  // Short pieces of rows that lie far apart: the processor does not foresee them by itself.
  if (!o.k_is_contiguous && o.lines > 4096) {
    const Index end_line = std::min(o.lines, end * panel_lines);
    for (Index l = from; l < from + size; ++l) {
      for (Index i = begin * panel_lines; i < end_line; i += side) __builtin_prefetch(o.at(i, l), 0, 2);
    }
  }
  bool finite = true;
  for (Index p = begin; p < end; ++p, ++at) {
    finite &= pack<parts>(o, p * panel_lines, from, size, &to.tiles[0] + at * slices.panel_tiles,
                          &to.undo[0] + at * panel_lines);
  }
  return finite;
}

// ---- Weights that are packed once -------------------------------------------------------------------------

// An operand that lies within what is held, with all its panels, slice by slice. `round` tells of which
// hold() they are: 0 of none.
struct Packed {
  Operand o;
  Index k;
  Panels panels;
  bool finite = true;
  std::uint64_t round = 0;
  std::mutex mutex;

  Packed(const Operand& operand, Index summed) : o(operand), k(summed) {}

  template <int parts>
  void renew(std::uint64_t now) {
    const std::lock_guard lock(mutex);
    if (round == now) return;
    const Slices slices(k, parts);
    const Index count = divide_up(o.lines, panel_lines);
    panels.resize(slices.count() * count, slices.panel_tiles);
    finite = true;
    for (Index s = 0; s < slices.count(); ++s)
      finite &= pack_panels<parts>(o, slices, s, 0, count, panels, s * count);
    round = now;
  }
};

struct Held {
  const float *begin = nullptr, *end = nullptr;
  bool held = false;
  int parts = 0;  // into which they are packed
  std::uint64_t round = 0;
  std::mutex mutex;  // of the list
  std::map<std::tuple<const float*, Index, Index, Index, bool, bool>, Packed> list;
};
Held& held() {
  static Held all;
  return all;
}

// The operand packed as a whole, or nullptr where it is not of what is held.
template <int parts>
const Packed* find_packed(const Operand& o, Index k) {
  Held& all = held();
  if (!all.held || all.parts != parts || o.x < all.begin || o.x >= all.end) return nullptr;
  Packed* found;
  {
    const std::lock_guard lock(all.mutex);
    found = &all.list.try_emplace({o.x, o.lines, o.stride, k, o.k_is_contiguous, o.is_b}, o, k).first->second;
  }
  found->renew<parts>(all.round);
  return found;
}

// ---- The product ------------------------------------------------------------------------------------------

// The panels of an operand: packed as a whole before, or some at a time into a buffer.
template <int parts>
struct Source {
  const Operand& o;
  const Slices& slices;
  Panels& buffer;
  const Packed* packed;
  Index count = divide_up(o.lines, panel_lines);  // of panels
  bool finite = true;

  Source(const Operand& operand, const Slices& of, Panels& to, Index at_once)
      : o(operand), slices(of), buffer(to), packed(find_packed<parts>(operand, of.k)) {
    if (packed)
      finite = packed->finite;
    else
      buffer.resize(std::min(at_once, count), slices.panel_tiles);
  }
  // Makes the panels [begin, end) of a slice ready.
  void show(Index slice, Index begin, Index end) {
    first = packed ? slice * count : -begin;
    if (!packed) finite &= pack_panels<parts>(o, slices, slice, begin, end, buffer, 0);
  }
  const Tile* tiles(Index panel) const { return &panels().tiles[0] + (first + panel) * slices.panel_tiles; }
  const float* undo(Index panel) const { return &panels().undo[0] + (first + panel) * panel_lines; }

 private:
  const Panels& panels() const { return packed ? packed->panels : buffer; }
  Index first = 0;  // where panel 0 of the slice would be
};

template <Unit by, int parts>
EF_TILES void product(const Operand& a, const Operand& b, Index k, float alpha, float beta, float* c,
                      Index ldc) {
  const Slices slices(k, parts);
  // Of the operand with fewer lines, chunks of about the same size, up to 1.2 MB, are kept. Of the other, up
  // to 400 KB are packed at once: rows of C are then written in longer runs, and the tiles seldom fall
  // asleep, which they do where they rest for 0.3 us, to take 0.5 us to wake up.
  const bool keep_b = b.lines <= a.lines;
  const Index fewer = divide_up(std::min(a.lines, b.lines), panel_lines);
  const Index chunk = divide_up(fewer, divide_up(fewer * slices.panel_tiles, 1200));
  const Index batch = std::max<Index>(1, 400 / slices.panel_tiles);
  thread_local Panels buffers[2];
  Source<parts> rows(a, slices, buffers[0], keep_b ? batch : chunk);
  Source<parts> columns(b, slices, buffers[1], keep_b ? chunk : batch);
  Source<parts>&kept = keep_b ? columns : rows, &passing = keep_b ? rows : columns;
  Block blocks[2], *now = &blocks[0], *before = &blocks[1];

  if constexpr (by == Unit::amx) _tile_loadconfig(&configuration);
  for (Index slice = 0; slice < slices.count(); ++slice) {
    const Index steps = divide_up(slices.size(slice), tile_depth);
    for (Index first_kept = 0; first_kept < kept.count; first_kept += chunk) {
      const Index end_kept = std::min(first_kept + chunk, kept.count);
      kept.show(slice, first_kept, end_kept);
      for (Index first_passing = 0; first_passing < passing.count; first_passing += batch) {
        const Index end_passing = std::min(first_passing + batch, passing.count);
        write(*before, panel_lines);  // before what it needs is packed over
        passing.show(slice, first_passing, end_passing);
        for (Index j = first_kept; j < end_kept; ++j) {
          for (Index i = first_passing; i < end_passing; ++i) {
            const Index panel_a = keep_b ? i : j, panel_b = keep_b ? j : i;
            const Index row = panel_a * panel_lines, column = panel_b * panel_lines;
            now->undo_rows = rows.undo(panel_a);
            now->undo_columns = columns.undo(panel_b);
            now->alpha = alpha;
            now->beta = slice == 0 ? beta : 1;
            now->c = c + row * ldc + column;
            now->ldc = ldc;
            now->rows = std::min(a.lines - row, panel_lines);
            now->columns = std::min(b.lines - column, panel_lines);
            now->written = 0;
            constexpr auto multiply = by == Unit::amx ? multiply_by_amx<parts> : multiply_by_vectors<parts>;
            multiply(rows.tiles(panel_a), columns.tiles(panel_b), steps, *now, *before);
            std::swap(now, before);
          }
        }
      }
      write(*before, panel_lines);
    }
  }
  if constexpr (by == Unit::amx) _tile_release();
  if (!rows.finite || !columns.finite) add_not_finite(a, b, k, alpha, c, ldc);
}

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && std::string(value) == "1";
}

bool has_amx() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  const bool known = __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0;
  return known && (edx >> 24 & 1) != 0 && (edx >> 22 & 1) != 0;
}

}  // namespace

std::string why_unavailable(Unit unit) {
  if (is_set("EIGENFORMER_NO_TILES")) return "EIGENFORMER_NO_TILES=1 switches them off";
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
  if (unit == Unit::avx512_bf16)
    return avx512 && __builtin_cpu_supports("avx512bf16") ? "" : "this processor has no AVX512-BF16";
  if (is_set("EIGENFORMER_NO_AMX")) return "EIGENFORMER_NO_AMX=1 switches it off";
  if (!has_amx()) return "this processor has no AMX tiles for bf16";
  if (!avx512) return "this processor has AMX tiles, but AVX-512, which packs for them, is switched off";
  // Linux sets the 8 KB a thread that tiles need aside only for a program that has asked.
  constexpr long request_permission = 0x1023, tile_data = 18;
  if (syscall(SYS_arch_prctl, request_permission, tile_data) != 0)
    return "this processor has AMX tiles, but Linux does not grant their use (it does from version 5.16 on)";
  return "";
}

std::string why_unavailable() {
  const std::string amx = why_unavailable(Unit::amx);
  if (amx.empty() || why_unavailable(Unit::avx512_bf16).empty()) return "";
  if (is_set("EIGENFORMER_NO_TILES") || has_amx()) return amx;
  return __builtin_cpu_supports("avx512f") ? "this processor has AVX-512 but neither AMX nor AVX512-BF16"
         : __builtin_cpu_supports("avx2")  ? "this processor has AVX2 but neither AMX nor AVX512-BF16"
                                           : "this processor has none of AVX2, AMX and AVX512-BF16";
}

namespace {
Unit& chosen() {
  static Unit unit = why_unavailable(Unit::amx).empty() ? Unit::amx : Unit::avx512_bf16;
  return unit;
}

template <int parts>
void product(const Operand& a, const Operand& b, Index k, float alpha, float beta, float* c, Index ldc) {
  if (chosen() == Unit::amx)
    product<Unit::amx, parts>(a, b, k, alpha, beta, c, ldc);
  else
    product<Unit::avx512_bf16, parts>(a, b, k, alpha, beta, c, ldc);
}
}  // namespace

Unit unit() { return chosen(); }

void use(Unit unit) {
  if (const std::string reason = why_unavailable(unit); !reason.empty()) fail("tiles::use: " + reason);
  chosen() = unit;
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

void hold(Precision precision, const float* x, Index n) {
  Held& all = held();
  const int parts = precision == Precision::split3 ? 3 : precision == Precision::split2 ? 2 : 1;
  if (x != all.begin || x + n != all.end || parts != all.parts) all.list.clear();
  all.begin = x;
  all.end = x + n;
  all.parts = parts;
  ++all.round;
  all.held = true;
}

void release() { held().held = false; }

void pack_held(Index worker, Index workers) {
  Held& all = held();
  Index i = 0;
  for (auto& [key, packed] : all.list) {
    if (i++ % workers != worker) continue;
    if (all.parts == 3) packed.renew<3>(all.round);
    if (all.parts == 2) packed.renew<2>(all.round);
    if (all.parts == 1) packed.renew<1>(all.round);
  }
}

#else

Unit unit() { return Unit::amx; }
void use(Unit) { fail("tiles::use: " + unavailable()); }
void hold(Precision, const float*, Index) {}
void release() {}
void pack_held(Index, Index) {}

std::string why_unavailable() {
  return "built without them: they need Linux on x86-64, and g++ 11 or clang++ 12 to compile them";
}
std::string why_unavailable(Unit) { return why_unavailable(); }

void gemm(Precision, blas::Op, blas::Op, Index, Index, Index, float, const float*, Index, const float*, Index,
          float, float*, Index) {
  fail("tiles::gemm: " + unavailable());
}

#endif

}  // namespace ef::tiles
