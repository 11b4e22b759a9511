// Memory for everything that lives for one step: handed out by moving a pointer, taken back all at once.
#pragma once
#include <cstddef>
#include <memory>
#include <vector>

#include "engine/real.h"

namespace ef {

// Blocks are 64-byte aligned (a cache line, an AVX-512 register). After reset() the same sequence of requests
// is served from the same memory, so a training loop allocates in its first step and never again.
class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // count objects of a trivially destructible type, not initialised (see guard()).
  template <class T>
  T* allocate(Index count) {
    static_assert(std::is_trivially_destructible_v<T>, "the arena runs no destructors");
    return static_cast<T*>(allocate_bytes(static_cast<std::size_t>(count) * sizeof(T)));
  }

  // Gives everything back; the memory stays reserved.
  void reset();

  // Memory taken after mark() is given back by release(): for scratch space inside one op.
  struct Mark {
    std::size_t chunk = 0, used = 0, total = 0, blocks = 0;
  };
  Mark mark() const { return {chunk_, used_, total_, blocks_.size()}; }
  void release(const Mark& mark);

  std::size_t bytes_in_use() const { return total_; }
  std::size_t bytes_peak() const { return peak_; }  // largest bytes_in_use() so far
  std::size_t bytes_reserved() const;
  Index system_allocations() const {
    return system_allocations_;
  }  // how often the system was asked for memory

  // For tests: from now on fill each new block with NaN and surround it by guard bands.
  void guard(bool on) { guard_ = on; }
  bool guarded() const { return guard_; }
  // Throws Error if a guard band was overwritten: of a live block, or of one that release() gave back since
  // reset().
  void check_guards() const;

 private:
  struct Chunk {
    std::unique_ptr<std::byte, void (*)(void*)> memory;
    std::size_t size;
  };
  struct Block {
    std::byte* begin;
    std::size_t size;
  };
  static bool intact(const Block& block);
  void* allocate_bytes(std::size_t bytes);
  void next_chunk(std::size_t bytes);

  std::vector<Chunk> chunks_;
  std::size_t chunk_ = 0, used_ = 0, total_ = 0, peak_ = 0;
  Index system_allocations_ = 0;
  bool guard_ = false;
  std::vector<Block> blocks_;       // only in guard mode
  std::vector<Block> overwritten_;  // released with a broken guard band
};

// Scratch memory that ends with its scope.
class Scratch {
 public:
  explicit Scratch(Arena& arena) : arena_(arena), mark_(arena.mark()) {}
  ~Scratch() { arena_.release(mark_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  Real* reals(Index count) { return arena_.allocate<Real>(count); }

 private:
  Arena& arena_;
  Arena::Mark mark_;
};

}  // namespace ef
