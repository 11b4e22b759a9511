// From a stream of tokens to batches of windows, for training and for validation.
//
// A window that begins at position s has targets[t] = stream[s + t] and inputs[t] = stream[s + t - 1]; before
// the first token of the stream stands the corpus' first_input. Everything here is a pure function of the
// step: nothing is remembered from call to call, so a resumed run sees the batches it would have seen.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/corpus.h"
#include "engine/option.h"
#include "engine/real.h"
#include "engine/registry.h"

namespace ef {

struct Batch {
  Index sequences = 0, tokens = 0;            // B, T
  std::vector<std::int32_t> inputs, targets;  // [B, T]; a target of -1 is not scored
  std::vector<Index> begins;                  // [B]: where in the stream a row begins
  std::vector<Index> lengths;                 // [B]: how many tokens of it are text; padding follows
  Index scored = 0;                           // targets that are not -1
  double floor_nats = 0;                      // of these, in the true language; NaN if not known
};

// ---- Training

class TrainWindows {
 public:
  virtual ~TrainWindows() = default;
  static constexpr const char* kind = "way to cut training windows";
  // Of a split that outlives it, the corpus' first_input, tokens a window, a seed.
  using Factory = std::function<std::unique_ptr<TrainWindows>(
      const Split&, std::int32_t first_input, Index tokens, std::uint64_t seed, const OptionValues&)>;

  // The batch of a step: `rows` sequences (see ShuffledBlocks for an exception). Reuses the memory of
  // `batch`.
  virtual void fill(Batch& batch, std::uint64_t step, Index rows) const = 0;
  // After so many steps as many tokens have been seen as the stream holds.
  virtual std::uint64_t steps_per_epoch(Index rows) const = 0;

  Batch batch(std::uint64_t step, Index rows) const {
    Batch filled;
    fill(filled, step, rows);
    return filled;
  }
};

// All of these keep a reference to `split`, which must outlive them, and draw from (seed, step or epoch).

// Each row of each step begins anywhere, all positions with `tokens` tokens left being equally probable; if
// the split knows where documents begin, there only. Throws Error if there is no such position.
class RandomWindows : public TrainWindows {
 public:
  RandomWindows(const Split& split, std::int32_t first_input, Index tokens, std::uint64_t seed,
                const OptionValues& = {});
  void fill(Batch& batch, std::uint64_t step, Index rows) const override;
  std::uint64_t steps_per_epoch(Index rows) const override;

 private:
  const Split& split_;
  std::int32_t first_input_;
  Index tokens_, positions_;  // positions_: how many there are to draw from
  std::uint64_t seed_;
};

// As fairseq does: the stream is cut into consecutive blocks of `tokens`, the last one short and padded, and
// each epoch goes through all blocks once, in an order of its own. An epoch has ceil(blocks / rows) steps;
// its last batch has fewer rows if they do not divide the blocks.
class ShuffledBlocks : public TrainWindows {
 public:
  ShuffledBlocks(const Split& split, std::int32_t first_input, Index tokens, std::uint64_t seed,
                 const OptionValues& = {});
  void fill(Batch& batch, std::uint64_t step, Index rows) const override;
  std::uint64_t steps_per_epoch(Index rows) const override;
  Index blocks() const { return blocks_; }
  std::vector<Index> order(std::uint64_t epoch) const;  // a permutation of the blocks

 private:
  const Split& split_;
  std::int32_t first_input_;
  Index tokens_, blocks_;
  std::uint64_t seed_;
};

// ---- Validation

// Windows of `tokens` that score every token of a split exactly once:
//   context = 0  consecutive blocks, the last one padded. If the split knows where documents begin, each
//                window begins there and holds as many whole documents as fit, so that no token is judged
//                without its beginning. Throws Error if a document is longer than a window.
//   context > 0  sliding, as fairseq's --context-window: window i scores the tokens - context targets from
//                (tokens - context) i on, after up to `context` that are read but not scored.
// Short windows are padded at the end (target -1). Keeps a reference to `split`.
class ValidationWindows {
 public:
  // Throws Error if the split is empty or not 0 <= context < tokens.
  ValidationWindows(const Split& split, std::int32_t first_input, Index tokens, Index context = 0);

  Index windows() const { return std::ssize(windows_); }
  Index batches(Index rows) const;
  // Windows [k rows, (k + 1) rows), fewer in the last batch. Reuses the memory of `batch`.
  void fill(Batch& batch, Index k, Index rows) const;
  // `count` windows spread evenly over the split, the first one among them; all if there are no more.
  void fill_spread(Batch& batch, Index count) const;
  // Those alone, as windows to go through.
  ValidationWindows spread(Index count) const;
  Index tokens() const;  // how many their text has, each counted once

 private:
  void fill_rows(Batch& batch, const std::vector<Index>& chosen) const;
  std::vector<Index> spread_places(Index count) const;

  struct Window {
    Index begin, scored, end;  // positions: first read, first scored, behind the last
  };
  const Split& split_;
  std::int32_t first_input_;
  Index tokens_;
  std::vector<Window> windows_;
};

}  // namespace ef
