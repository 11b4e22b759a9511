// Random numbers without hidden state: a number is a function of (seed, stream, step, index).
//
// Generator: Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3"
// (SC 2011). Ten rounds of multiply and xor turn a 128-bit counter and a 64-bit key into 128 random bits.
// Because nothing is carried from call to call, a resumed run draws the same numbers as an uninterrupted
// one, and dropout does not depend on how the batch was divided among workers.
#pragma once
#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace ef {

using Philox4 = std::array<std::uint32_t, 4>;

inline Philox4 philox(Philox4 counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<std::uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(p1),
               static_cast<std::uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(p0)};
    key[0] += 0x9E3779B9;  // the golden ratio
    key[1] += 0xBB67AE85;  // sqrt(3) - 1
  }
  return counter;
}

// 32 random bits to a double in [0, 1): multiples of 2^-32.
inline double unit_interval(std::uint32_t bits) { return bits * 0x1p-32; }

// What a stream of random numbers is for: streams of different purposes never meet.
enum class Purpose : std::uint64_t { initialise, data, dropout, sample, test, simulation, bootstrap };

// The number `which` (below 2^28) of the streams for a purpose.
inline std::uint64_t stream_of(Purpose purpose, std::uint64_t which = 0) {
  return (static_cast<std::uint64_t>(purpose) << 28) | (which & 0x0FFFFFFF);
}

// A family of random numbers, addressed by index. Copies are cheap and equal.
//   seed    the run's (the 64-bit key)
//   stream  what the numbers are for, see stream_of() (32 bits used)
//   step    when: the training step, the epoch (32 bits used)
// Each index (up to 2^62) has its own block of four 32-bit numbers.
struct Random {
  std::uint64_t seed = 0;
  std::uint64_t stream = 0;
  std::uint64_t step = 0;

  Philox4 block(std::uint64_t index) const {
    return philox({static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32),
                   static_cast<std::uint32_t>(stream), static_cast<std::uint32_t>(step)},
                  {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  }
  // The 4 * 16 numbers of the blocks 16 * number to 16 * number + 15: out[16 * lane + i] is number `lane` of
  // block i. The same as block(), in loops over 16 that a compiler turns into vector instructions.
  static constexpr std::size_t group_blocks = 16, group_size = 4 * group_blocks;
  void group(std::uint64_t number, std::uint32_t* out) const {
    std::uint32_t *c0 = out, *c1 = c0 + group_blocks, *c2 = c1 + group_blocks, *c3 = c2 + group_blocks;
    for (std::size_t i = 0; i < group_blocks; ++i) {
      const std::uint64_t index = number * group_blocks + i;
      c0[i] = static_cast<std::uint32_t>(index);
      c1[i] = static_cast<std::uint32_t>(index >> 32);
      c2[i] = static_cast<std::uint32_t>(stream);
      c3[i] = static_cast<std::uint32_t>(step);
    }
    std::uint32_t key0 = static_cast<std::uint32_t>(seed), key1 = static_cast<std::uint32_t>(seed >> 32);
    for (int round = 0; round < 10; ++round, key0 += 0x9E3779B9, key1 += 0xBB67AE85) {
#pragma omp simd
      for (std::size_t i = 0; i < group_blocks; ++i) {
        const std::uint64_t p0 = std::uint64_t{0xD2511F53} * c0[i], p1 = std::uint64_t{0xCD9E8D57} * c2[i];
        c0[i] = static_cast<std::uint32_t>(p1 >> 32) ^ c1[i] ^ key0;
        c1[i] = static_cast<std::uint32_t>(p1);
        c2[i] = static_cast<std::uint32_t>(p0 >> 32) ^ c3[i] ^ key1;
        c3[i] = static_cast<std::uint32_t>(p0);
      }
    }
  }
  // Uniform in [0, 1) with 53 random bits.
  double uniform(std::uint64_t index) const {
    const Philox4 r = block(index);
    return static_cast<double>((std::uint64_t{r[0]} << 21) ^ (r[1] >> 11)) * 0x1p-53;
  }
  // Standard normal by Box and Muller (1958); 1 - u keeps the logarithm finite.
  double normal(std::uint64_t index) const {
    const Philox4 r = block(index);
    const double u = 1.0 - static_cast<double>((std::uint64_t{r[0]} << 21) ^ (r[1] >> 11)) * 0x1p-53;
    const double angle = 2.0 * std::numbers::pi * unit_interval(r[2]);
    return std::sqrt(-2.0 * std::log(u)) * std::cos(angle);
  }
  // Uniform integer in [0, n), n >= 1: the high half of a 64 x 64-bit product (Lemire 2019), whose bias is
  // below n / 2^64.
  std::uint64_t below(std::uint64_t index, std::uint64_t n) const {
    const Philox4 r = block(index);
    const std::uint64_t bits = (std::uint64_t{r[0]} << 32) | r[1];
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>((static_cast<Wide>(bits) * n) >> 64);
  }
};

}  // namespace ef
