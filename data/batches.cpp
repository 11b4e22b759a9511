#include "data/batches.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "engine/error.h"
#include "engine/random.h"

namespace ef {
namespace {

// Streams of random numbers; stories (language.cpp) have number 0.
const std::uint64_t kStartStream = stream_of(Purpose::data, 1);
const std::uint64_t kShuffleStream = stream_of(Purpose::data, 2);

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

void check_positive(const char* what, Index n) {
  if (n < 1) fail(what, std::to_string(n), "at least 1");
}

void begin_batch(Batch& batch, const Split& split, Index sequences, Index tokens) {
  batch.sequences = sequences;
  batch.tokens = tokens;
  batch.inputs.resize(at(sequences * tokens));
  batch.targets.resize(at(sequences * tokens));
  batch.begins.resize(at(sequences));
  batch.lengths.resize(at(sequences));
  batch.scored = 0;
  batch.floor_nats = split.floor_nats.empty() ? std::numeric_limits<double>::quiet_NaN() : 0;
}

// Row `row`: the stream from `begin` to `end`, scored from `scored` on, then padding.
void fill_row(Batch& batch, Index row, const Split& split, std::int32_t first_input, Index begin,
              Index scored, Index end) {
  batch.begins[at(row)] = begin;
  batch.lengths[at(row)] = end - begin;
  for (Index t = 0; t < batch.tokens; ++t) {
    const Index position = begin + t;
    const Index cell = row * batch.tokens + t;
    const bool read = position < end;
    const bool score = read && position >= scored && split.is_scored(position);
    batch.inputs[at(cell)] = read && position > 0 ? split.ids[at(position - 1)] : first_input;
    batch.targets[at(cell)] = score ? split.ids[at(position)] : -1;
    if (!score) continue;
    ++batch.scored;
    if (!split.floor_nats.empty()) batch.floor_nats += static_cast<double>(split.floor_nats[at(position)]);
  }
}

}  // namespace

RandomWindows::RandomWindows(const Split& split, std::int32_t first_input, Index tokens, std::uint64_t seed,
                             const OptionValues&)
    : split_(split), first_input_(first_input), tokens_(tokens), seed_(seed) {
  check_positive("tokens of a window", tokens);
  const Index last = split.size() - tokens;  // the last position with enough text after it
  const auto& starts = split.starts;
  positions_ =
      starts.empty() ? last + 1 : std::upper_bound(starts.begin(), starts.end(), last) - starts.begin();
  if (positions_ < 1)
    fail("the training text is shorter than a window", std::to_string(split.size()) + " tokens",
         "at least " + std::to_string(tokens), "use a shorter window or a longer text");
}

void RandomWindows::fill(Batch& batch, std::uint64_t step, Index rows) const {
  check_positive("rows of a batch", rows);
  begin_batch(batch, split_, rows, tokens_);
  const Random random{seed_, kStartStream, step};
  for (Index row = 0; row < rows; ++row) {
    const auto draw = static_cast<Index>(
        random.below(static_cast<std::uint64_t>(row), static_cast<std::uint64_t>(positions_)));
    const Index begin = split_.starts.empty() ? draw : split_.starts[at(draw)];
    fill_row(batch, row, split_, first_input_, begin, begin, begin + tokens_);
  }
}

std::uint64_t RandomWindows::steps_per_epoch(Index rows) const {
  check_positive("rows of a batch", rows);
  return static_cast<std::uint64_t>((split_.size() + rows * tokens_ - 1) / (rows * tokens_));
}

ShuffledBlocks::ShuffledBlocks(const Split& split, std::int32_t first_input, Index tokens, std::uint64_t seed,
                               const OptionValues&)
    : split_(split), first_input_(first_input), tokens_(tokens), blocks_(0), seed_(seed) {
  check_positive("tokens of a block", tokens);
  if (split.ids.empty()) fail("the training text is empty");
  blocks_ = (split.size() + tokens - 1) / tokens;
}

// Fisher and Yates: at each place, one of the blocks that are not yet placed.
std::vector<Index> ShuffledBlocks::order(std::uint64_t epoch) const {
  std::vector<Index> order(at(blocks_));
  std::iota(order.begin(), order.end(), Index{0});
  const Random random{seed_, kShuffleStream, epoch};
  for (std::size_t i = 0; i < order.size(); ++i)
    std::swap(order[i], order[i + random.below(i, order.size() - i)]);
  return order;
}

void ShuffledBlocks::fill(Batch& batch, std::uint64_t step, Index rows) const {
  const std::uint64_t steps = steps_per_epoch(rows);
  const Index first = static_cast<Index>(step % steps) * rows;
  // Shuffling anew for each step costs microseconds, and saves a state that would have to be kept right.
  const std::vector<Index> order = this->order(step / steps);
  begin_batch(batch, split_, std::min(rows, blocks_ - first), tokens_);
  for (Index row = 0; row < batch.sequences; ++row) {
    const Index begin = order[at(first + row)] * tokens_;
    fill_row(batch, row, split_, first_input_, begin, begin, std::min(begin + tokens_, split_.size()));
  }
}

std::uint64_t ShuffledBlocks::steps_per_epoch(Index rows) const {
  check_positive("rows of a batch", rows);
  return static_cast<std::uint64_t>((blocks_ + rows - 1) / rows);
}

namespace {
const Registered<TrainWindows, RandomWindows> random_windows("random", "stretches that begin anywhere");
const Registered<TrainWindows, ShuffledBlocks> blocks("blocks", "consecutive blocks, shuffled each epoch");
}  // namespace

ValidationWindows::ValidationWindows(const Split& split, std::int32_t first_input, Index tokens,
                                     Index context)
    : split_(split), first_input_(first_input), tokens_(tokens) {
  check_positive("tokens of a window", tokens);
  if (context < 0 || context >= tokens)
    fail("context of a validation window", std::to_string(context),
         "0 to " + std::to_string(tokens - 1) + ", less than the tokens of the window");
  const Index size = split.size();
  if (size == 0) fail("the validation text is empty");

  if (context > 0 || split.starts.empty()) {
    const Index stride = tokens - context;
    for (Index scored = 0; scored < size; scored += stride)
      windows_.push_back({std::max<Index>(scored - context, 0), scored, std::min(scored + stride, size)});
    return;
  }
  windows_.push_back({0, 0, 0});
  for (std::size_t i = 0; i < split.starts.size(); ++i) {
    const Index begin = split.starts[i], end = i + 1 < split.starts.size() ? split.starts[i + 1] : size;
    if (end - begin > tokens)
      fail("a document is longer than a validation window", std::to_string(end - begin) + " tokens",
           "at most " + std::to_string(tokens), "use a longer window, or a context");
    if (end - windows_.back().begin > tokens) windows_.push_back({begin, begin, begin});
    windows_.back().end = end;
  }
}

Index ValidationWindows::batches(Index rows) const {
  check_positive("rows of a batch", rows);
  return (windows() + rows - 1) / rows;
}

void ValidationWindows::fill(Batch& batch, Index k, Index rows) const {
  if (k < 0 || k >= batches(rows))
    fail("number of a validation batch", std::to_string(k), "0 to " + std::to_string(batches(rows) - 1));
  std::vector<Index> chosen(at(std::min(rows, windows() - k * rows)));
  std::iota(chosen.begin(), chosen.end(), k * rows);
  fill_rows(batch, chosen);
}

std::vector<Index> ValidationWindows::spread_places(Index count) const {
  check_positive("number of validation windows", count);
  const Index n = std::min(count, windows());
  std::vector<Index> chosen;
  for (Index i = 0; i < n; ++i) chosen.push_back(i * windows() / n);
  return chosen;
}

void ValidationWindows::fill_spread(Batch& batch, Index count) const {
  fill_rows(batch, spread_places(count));
}

ValidationWindows ValidationWindows::spread(Index count) const {
  ValidationWindows some = *this;
  some.windows_.clear();
  for (const Index place : spread_places(count)) some.windows_.push_back(windows_[place]);
  return some;
}

Index ValidationWindows::tokens() const {
  Index sum = 0;
  for (const Window& window : windows_) sum += window.end - window.scored;
  return sum;
}

void ValidationWindows::fill_rows(Batch& batch, const std::vector<Index>& chosen) const {
  begin_batch(batch, split_, std::ssize(chosen), tokens_);
  for (Index row = 0; row < batch.sequences; ++row) {
    const Window& window = windows_[at(chosen[at(row)])];
    fill_row(batch, row, split_, first_input_, window.begin, window.scored, window.end);
  }
}

}  // namespace ef
