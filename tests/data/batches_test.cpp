// Windows and batches: what is read, what is scored, and when.
#include "data/batches.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "engine/error.h"
#include "engine/random.h"
#include "tests/catch.h"
#include "tests/helpers.h"

namespace {

using namespace ef;

constexpr std::int32_t kFirstInput = 100000;  // no id of the streams below

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// The stream 0, 1, 2, ...: a token tells its position. Floors are multiples of 1/4, exact in sums.
Split counting(Index size, bool floors = false) {
  Split split;
  split.ids.resize(at(size));
  std::iota(split.ids.begin(), split.ids.end(), 0);
  for (Index i = 0; floors && i < size; ++i) split.floor_nats.push_back(0.25f * static_cast<float>(i % 7));
  return split;
}

// Checks each row (the input precedes its target, padding is at the end, counts and floors are right) and
// adds to `seen` how often each position is scored.
void check(const Batch& batch, const Split& split, std::vector<int>& seen) {
  REQUIRE(std::ssize(batch.inputs) == batch.sequences * batch.tokens);
  REQUIRE(batch.inputs.size() == batch.targets.size());
  Index scored = 0;
  double floor = 0;
  for (Index row = 0; row < batch.sequences; ++row) {
    for (Index t = 0; t < batch.tokens; ++t) {
      const std::int32_t input = batch.inputs[at(row * batch.tokens + t)];
      const std::int32_t target = batch.targets[at(row * batch.tokens + t)];
      REQUIRE((input == kFirstInput || (input >= 0 && input < split.size())));
      // Within a row the stream goes on without a gap up to the last target.
      const bool more =
          std::any_of(batch.targets.begin() + row * batch.tokens + t,
                      batch.targets.begin() + (row + 1) * batch.tokens, [](auto x) { return x >= 0; });
      if (t > 0 && more) {
        const std::int32_t previous = batch.inputs[at(row * batch.tokens + t - 1)];
        REQUIRE(input == (previous == kFirstInput ? 0 : previous + 1));
      }
      if (target < 0) {
        REQUIRE(target == -1);
        continue;
      }
      REQUIRE(input == (target == 0 ? kFirstInput : target - 1));
      ++seen[at(target)];
      ++scored;
      if (!split.floor_nats.empty()) floor += static_cast<double>(split.floor_nats[at(target)]);
    }
  }
  REQUIRE(batch.scored == scored);
  if (split.floor_nats.empty()) {
    REQUIRE(std::isnan(batch.floor_nats));
  } else {
    REQUIRE(batch.floor_nats == Approx(floor));
  }
}

bool all_once(const std::vector<int>& seen) {
  return std::all_of(seen.begin(), seen.end(), [](int n) { return n == 1; });
}

}  // namespace

TEST_CASE("random windows: anywhere, and the same again", "[data]") {
  const Split split = counting(50, true);
  const RandomWindows windows(split, kFirstInput, 8, 1);
  std::vector<int> seen(50, 0), starts(50, 0);
  Batch batch;
  for (std::uint64_t step = 0; step < 300; ++step) {
    windows.fill(batch, step, 4);
    REQUIRE(batch.sequences == 4);
    REQUIRE(batch.scored == 32);
    check(batch, split, seen);
    REQUIRE(windows.batch(step, 4).inputs == batch.inputs);
    for (Index row = 0; row < 4; ++row) ++starts[at(batch.targets[at(row * 8)])];
  }
  for (std::size_t i = 0; i < 50; ++i) CHECK((starts[i] > 0) == (i <= 42));  // 1200 draws of 43
  CHECK(windows.batch(0, 4).inputs != windows.batch(1, 4).inputs);
  CHECK(windows.batch(0, 4).inputs != RandomWindows(split, kFirstInput, 8, 2).batch(0, 4).inputs);
  CHECK(windows.steps_per_epoch(3) == 3);
  CHECK(windows.steps_per_epoch(1) == 7);
  // More rows only add to a batch.
  const Batch few = windows.batch(9, 2), more = windows.batch(9, 5);
  CHECK(std::equal(few.inputs.begin(), few.inputs.end(), more.inputs.begin()));
}

TEST_CASE("random windows begin at documents where these are known", "[data]") {
  Split split = counting(40);
  split.starts = {0, 7, 20, 30, 35};
  const RandomWindows windows(split, kFirstInput, 10, 1);
  std::set<std::int32_t> starts;
  std::vector<int> seen(40, 0);
  for (std::uint64_t step = 0; step < 50; ++step) {
    const Batch batch = windows.batch(step, 3);
    check(batch, split, seen);
    for (Index row = 0; row < 3; ++row) starts.insert(batch.targets[at(row * 10)]);
  }
  CHECK(starts == std::set<std::int32_t>{0, 7, 20, 30});
}

TEST_CASE("a text that is too short is an error", "[data]") {
  const Split split = counting(7);
  const std::string message = thrown_by([&] { RandomWindows(split, kFirstInput, 8, 1); });
  INFO(message);
  CHECK(contains(message, "got 7 tokens, expected at least 8"));
  CHECK(RandomWindows(split, kFirstInput, 7, 1).batch(3, 2).targets[0] == 0);
  Split late = counting(20);
  late.starts = {15};
  CHECK_THROWS_AS(RandomWindows(late, kFirstInput, 8, 1), Error);

  const Split empty;
  CHECK(contains(thrown_by([&] { ShuffledBlocks(empty, 0, 8, 1); }), "empty"));
  CHECK(contains(thrown_by([&] { ValidationWindows(empty, 0, 8); }), "empty"));
  CHECK_THROWS_AS(RandomWindows(split, 0, 0, 1), Error);
  CHECK_THROWS_AS(ShuffledBlocks(split, 0, 0, 1), Error);
  CHECK_THROWS_AS(ValidationWindows(split, 0, 0), Error);
  CHECK(contains(thrown_by([&] { ValidationWindows(split, 0, 4, 4); }), "got 4, expected 0 to 3"));
  CHECK_THROWS_AS(ValidationWindows(split, 0, 4, -1), Error);
  CHECK_THROWS_AS(ShuffledBlocks(split, 0, 4, 1).batch(0, 0), Error);
  CHECK_THROWS_AS(RandomWindows(split, 0, 4, 1).batch(0, 0), Error);
  CHECK_THROWS_AS(ValidationWindows(split, 0, 4).batches(0), Error);
}

TEST_CASE("shuffled blocks: each token once an epoch, in a new order", "[data]") {
  const Random random{1, 1, 1};
  for (std::uint64_t trial = 0; trial < 60; ++trial) {
    const auto draw = [&](std::uint64_t i, std::uint64_t n) {
      return static_cast<Index>(1 + random.below(8 * trial + i, n));
    };
    const Split split = counting(draw(0, 200), trial % 2 == 0);
    const Index tokens = draw(1, 20), rows = draw(2, 6);
    const ShuffledBlocks blocks(split, kFirstInput, tokens, trial);
    const Index count = (split.size() + tokens - 1) / tokens;
    const auto steps = static_cast<std::uint64_t>((count + rows - 1) / rows);
    INFO(split.size() << " tokens in blocks of " << tokens << ", " << rows << " rows");
    REQUIRE(blocks.blocks() == count);
    REQUIRE(blocks.steps_per_epoch(rows) == steps);
    Batch batch;
    for (std::uint64_t epoch = 0; epoch < 3; ++epoch) {
      std::vector<int> seen(at(split.size()), 0);
      for (std::uint64_t step = 0; step < steps; ++step) {
        blocks.fill(batch, epoch * steps + step, rows);
        const Index expected = step + 1 < steps ? rows : count - rows * static_cast<Index>(steps - 1);
        REQUIRE(batch.sequences == expected);
        check(batch, split, seen);
      }
      REQUIRE(all_once(seen));
    }
  }
}

TEST_CASE("the order of blocks is a permutation, a fair one", "[data]") {
  const Split split = counting(1000);
  const ShuffledBlocks blocks(split, kFirstInput, 10, 7);
  std::vector<Index> sorted = blocks.order(5);
  CHECK(sorted != blocks.order(6));
  CHECK(sorted == blocks.order(5));
  CHECK(sorted != ShuffledBlocks(split, kFirstInput, 10, 8).order(5));
  std::sort(sorted.begin(), sorted.end());
  for (Index i = 0; i < 100; ++i) CHECK(sorted[at(i)] == i);

  // Of three blocks, all six orders are equally frequent.
  const Split three = counting(3);
  std::vector<int> counts(27, 0);
  for (std::uint64_t epoch = 0; epoch < 6000; ++epoch) {
    const std::vector<Index> order = ShuffledBlocks(three, kFirstInput, 1, 1).order(epoch);
    ++counts[at(order[0] * 9 + order[1] * 3 + order[2])];
  }
  for (const int n : counts)
    if (n > 0) CHECK(n == Approx(1000).margin(150));
}

TEST_CASE("training windows by name", "[data]") {
  const Split split = counting(30);
  CHECK(Registry<TrainWindows>::make("random", split, 0, 4, std::uint64_t{1}, OptionValues{})
            ->batch(2, 3)
            .inputs == RandomWindows(split, 0, 4, 1).batch(2, 3).inputs);
  CHECK(Registry<TrainWindows>::make("blocks", split, 0, 4, std::uint64_t{1}, OptionValues{})
            ->batch(2, 3)
            .inputs == ShuffledBlocks(split, 0, 4, 1).batch(2, 3).inputs);
  CHECK(contains(thrown_by([&] {
                   Registry<TrainWindows>::make("block", split, 0, 4, std::uint64_t{1}, OptionValues{});
                 }),
                 "did you mean blocks?"));
}

TEST_CASE("validation scores each token exactly once", "[data]") {
  const Random random{2, 2, 2};
  for (std::uint64_t trial = 0; trial < 150; ++trial) {
    const auto draw = [&](std::uint64_t i, std::uint64_t n) {
      return static_cast<Index>(1 + random.below(300 * trial + i, n));
    };
    Split split = counting(trial < 3 ? 1 : draw(0, 200), trial % 2 == 0);
    const Index tokens = draw(1, 20), rows = draw(2, 6);
    const bool documents = trial % 3 == 0, sliding = trial % 3 == 1 && tokens > 1;
    const Index context = sliding ? draw(3, static_cast<std::uint64_t>(tokens - 1)) : 0;
    for (Index start = 0; documents && start < split.size();
         start += draw(4 + static_cast<std::uint64_t>(start), static_cast<std::uint64_t>(tokens)))
      split.starts.push_back(start);
    INFO(split.size() << " tokens in windows of " << tokens << ", context " << context << ", " << rows
                      << " rows");

    const ValidationWindows windows(split, kFirstInput, tokens, context);
    std::vector<int> seen(at(split.size()), 0);
    Index sequences = 0;
    Batch batch;
    for (Index k = 0; k < windows.batches(rows); ++k) {
      windows.fill(batch, k, rows);
      REQUIRE(batch.tokens == tokens);
      sequences += batch.sequences;
      check(batch, split, seen);
      for (Index row = 0; row < batch.sequences; ++row) {
        const auto targets = batch.targets.begin() + row * tokens;
        const auto first = std::find_if(targets, targets + tokens, [](auto x) { return x >= 0; });
        REQUIRE(first != targets + tokens);
        // The context is as long as it can be; a window of documents begins with one.
        REQUIRE(first - targets == std::min<Index>(context, *first));
        if (documents) REQUIRE(std::binary_search(split.starts.begin(), split.starts.end(), Index{*first}));
      }
    }
    REQUIRE(all_once(seen));
    REQUIRE(sequences == windows.windows());
    if (!documents) REQUIRE(windows.windows() == (split.size() + tokens - context - 1) / (tokens - context));
    REQUIRE_THROWS_AS(windows.fill(batch, windows.batches(rows), rows), Error);
  }
}

TEST_CASE("a batch knows where its rows begin, and how much of them is text", "[data]") {
  Split split;
  for (Index i = 0; i < 23; ++i) split.ids.push_back(static_cast<std::int32_t>(i));
  const ValidationWindows windows(split, 99, 5);  // 5 windows, the last one of 3
  Batch batch;
  windows.fill(batch, 1, 3);
  CHECK(batch.begins == std::vector<Index>{15, 20});
  CHECK(batch.lengths == std::vector<Index>{5, 3});
  const ValidationWindows sliding(split, 99, 5, 2);  // what is read and not scored is text, too
  sliding.fill(batch, 0, 100);
  CHECK(batch.lengths[1] == 5);
  CHECK(batch.begins[1] == 1);

  windows.fill_spread(batch, 2);
  CHECK(batch.begins == std::vector<Index>{0, 10});
  windows.fill_spread(batch, 3);
  CHECK(batch.begins == std::vector<Index>{0, 5, 15});
  windows.fill_spread(batch, 1000);
  CHECK(batch.sequences == windows.windows());
  check_throws([&] { windows.fill_spread(batch, 0); }, {"validation windows", "0"});

  split.starts = {0, 2, 6, 7, 11, 22};
  const ValidationWindows documents(split, 99, 11);
  documents.fill_spread(batch, 1000);
  CHECK(batch.begins == std::vector<Index>{0, 11, 22});
  CHECK(batch.lengths == std::vector<Index>{11, 11, 1});
  ShuffledBlocks(split, 99, 5, 1).fill(batch, 0, 5);
  CHECK(std::ranges::count(batch.lengths, 5) == 4);
  CHECK(std::ranges::count(batch.lengths, 3) == 1);
}

TEST_CASE("documents stay whole in validation", "[data]") {
  Split split = counting(30);
  split.starts = {0, 4, 10, 19, 22};
  const ValidationWindows windows(split, kFirstInput, 10);  // 4 + 6 | 9 | 3 | 8
  REQUIRE(windows.windows() == 4);
  Batch batch;
  windows.fill(batch, 0, 4);
  CHECK(batch.targets[0] == 0);
  CHECK(batch.targets[9] == 9);
  CHECK(batch.targets[10] == 10);
  CHECK(batch.targets[19] == -1);
  CHECK(batch.inputs[10] == 9);  // the end of the document before
  CHECK(batch.targets[20] == 19);
  CHECK(batch.targets[30] == 22);

  const std::string message = thrown_by([&] { ValidationWindows(split, kFirstInput, 8); });
  INFO(message);
  CHECK(contains(message, "got 9 tokens, expected at most 8"));
  CHECK(ValidationWindows(split, kFirstInput, 8, 4).windows() == 8);  // with a context they may be cut
}
