#include "engine/arena.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>

#include "engine/error.h"
#ifdef __linux__
#include <sys/mman.h>
#endif

namespace ef {
namespace {

constexpr std::size_t line = 64;  // alignment of every block, width of a guard band
constexpr std::size_t huge_page = std::size_t{2} << 20;
constexpr unsigned char guard_byte = 0xA5;

std::size_t round_up(std::size_t n, std::size_t to) { return (n + to - 1) / to * to; }

}  // namespace

void* Arena::allocate_bytes(std::size_t bytes) {
  const std::size_t band = guard_ ? line : 0;
  const std::size_t need = round_up(bytes, line) + 2 * band;
  if (chunks_.empty() || used_ + need > chunks_[chunk_].size) next_chunk(need);
  std::byte* begin = chunks_[chunk_].memory.get() + used_ + band;
  used_ += need;
  total_ += need;
  peak_ = std::max(peak_, total_);
  if (guard_) {
    std::memset(begin - band, guard_byte, need);
    const Real nan = std::numeric_limits<Real>::quiet_NaN();
    for (std::size_t i = 0; i + sizeof(Real) <= bytes; i += sizeof(Real))
      std::memcpy(begin + i, &nan, sizeof nan);
    blocks_.push_back({begin, bytes});
  }
  return begin;
}

// Moves on to the next chunk that is large enough, or asks the system for one at least as large as all
// before it together: few chunks, and pages that are never touched cost nothing.
void Arena::next_chunk(std::size_t bytes) {
  if (!chunks_.empty()) {
    while (chunk_ + 1 < chunks_.size()) {
      ++chunk_;
      used_ = 0;
      if (bytes <= chunks_[chunk_].size) return;
    }
  }
  const std::size_t size = round_up(std::max({bytes, bytes_reserved(), huge_page}), huge_page);
  void* memory = std::aligned_alloc(huge_page, size);
  if (!memory) throw std::bad_alloc();
#ifdef __linux__
  madvise(memory, size, MADV_HUGEPAGE);  // a wish; refusing it costs speed only
#endif
  chunks_.push_back({{static_cast<std::byte*>(memory), std::free}, size});
  chunk_ = chunks_.size() - 1;
  used_ = 0;
  ++system_allocations_;
}

void Arena::reset() {
  chunk_ = used_ = total_ = 0;
  blocks_.clear();
  overwritten_.clear();
}

void Arena::release(const Mark& mark) {
  // Called by destructors (Scratch), so what is found is kept for check_guards() instead of thrown.
  for (std::size_t i = mark.blocks; i < blocks_.size(); ++i) {
    if (!intact(blocks_[i])) overwritten_.push_back(blocks_[i]);
  }
  chunk_ = mark.chunk;
  used_ = mark.used;
  total_ = mark.total;
  blocks_.resize(mark.blocks);
}

std::size_t Arena::bytes_reserved() const {
  std::size_t bytes = 0;
  for (const Chunk& chunk : chunks_) bytes += chunk.size;
  return bytes;
}

bool Arena::intact(const Block& block) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(block.begin);
  const std::size_t after = round_up(block.size, line) + line;
  bool intact = true;
  for (std::size_t i = 1; i <= line; ++i) intact = intact && *(bytes - i) == guard_byte;
  for (std::size_t i = block.size; i < after; ++i) intact = intact && bytes[i] == guard_byte;
  return intact;
}

void Arena::check_guards() const {
  const auto report = [](const Block& block) {
    fail("arena", "a write outside a block of " + std::to_string(block.size) + " bytes", "none");
  };
  for (const Block& block : overwritten_) report(block);
  for (const Block& block : blocks_) {
    if (!intact(block)) report(block);
  }
}

}  // namespace ef
