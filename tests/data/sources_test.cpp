// Sources of data: what holds for each, and copying.
#include "data/source.h"

#include <cmath>

#include "data/batches.h"
#include "tests/helpers.h"

using namespace ef;

TEST_CASE("every data source that needs no file: the same corpus each time, ids and floors that may be",
          "[data]") {
  for (const std::string& name : Registry<DataSource>::names()) {
    if (name == "text") continue;
    INFO(name);
    CHECK(source_name(name) == name);
    const auto source = data_source(name, {});
    CHECK(source->missing(name).empty());
    const Corpus corpus = source->load(name), again = data_source(name, {})->load(name);
    CHECK(corpus.fingerprint() == again.fingerprint());
    CHECK(corpus.first_input >= 0);
    CHECK(corpus.first_input < corpus.tokenizer->vocab_size());
    for (const Split* split : {&corpus.train, &corpus.valid}) {
      REQUIRE(split->size() > 0);
      CHECK(std::all_of(split->ids.begin(), split->ids.end(),
                        [&](std::int32_t id) { return 0 <= id && id < corpus.tokenizer->vocab_size(); }));
      CHECK((split->floor_nats.empty() || std::ssize(split->floor_nats) == split->size()));
      CHECK(std::all_of(split->floor_nats.begin(), split->floor_nats.end(), [](float x) { return x >= 0; }));
      CHECK((split->scored.empty() || std::ssize(split->scored) == split->size()));
      CHECK(std::is_sorted(split->starts.begin(), split->starts.end()));
      CHECK(split->starts.empty() == !source->documents());
    }
  }
}

TEST_CASE("what is no source's name is a path", "[data]") {
  CHECK(source_name("builtin") == "builtin");
  CHECK(source_name("./builtin") == "text");
  CHECK(contains(data_source("no/such/file", {})->missing("no/such/file"), "there is no no/such/file"));
  check_throws([] { data_source("no/such/file", {})->load("no/such/file"); }, {"no such file or folder"});
  OptionValues options;
  options.set("tokens", "words");
  options.set("max-vocabulary", 3);
  check_throws([&] { data_source("some/file", options); }, {"--max-vocabulary", "at least 5"});
  options.set("tokens", "wrods");
  check_throws([&] { data_source("some/file", options); }, {"--tokens", "wrods", "did you mean words?"});
}

TEST_CASE("copying: what is scored is what can be known", "[data]") {
  for (const Index n : {1, 3, 8}) {
    for (const Index symbols : {2, 5, 26}) {
      INFO(n << " of " << symbols);
      OptionValues options;
      options.set("copy-length", n);
      options.set("copy-symbols", symbols);
      const Corpus corpus = data_source("copy", options)->load("copy");
      CHECK(corpus.tokenizer->vocab_size() == symbols + 2);
      const Split& text = corpus.valid;
      double nats = 0;
      std::map<std::int32_t, double> counts;
      for (std::size_t line = 0; line < text.starts.size(); ++line) {
        const auto begin = static_cast<std::size_t>(text.starts[line]), k = static_cast<std::size_t>(n);
        REQUIRE((line + 1 < text.starts.size() ? text.starts[line + 1] : text.size()) ==
                text.starts[line] + 2 * n + 2);
        for (std::size_t i = 0; i < 2 * k + 2; ++i) {
          const std::int32_t id = text.ids[begin + i];
          CHECK(text.is_scored(static_cast<Index>(begin + i)) == (i > k));
          if (i < k) {
            CHECK(id == text.ids[begin + i + k + 1]);
            CHECK(text.floor_nats[begin + i] == Approx(std::log(double(symbols))));
            ++counts[id];
          } else {
            CHECK(text.floor_nats[begin + i] == 0);
          }
          if (text.is_scored(static_cast<Index>(begin + i)))
            nats += static_cast<double>(text.floor_nats[begin + i]);
        }
        CHECK(corpus.tokenizer->decode({&text.ids[begin + k], 1}) == ">");
        CHECK(corpus.tokenizer->decode({&text.ids[begin + 2 * k + 1], 1}) == "\n");
      }
      CHECK(nats == 0);
      // All symbols come, about as often as each other.
      CHECK(std::ssize(counts) == symbols);
      const double mean = double(text.starts.size()) * double(n) / double(symbols);
      for (const auto& [id, count] : counts) CHECK(std::fabs(count - mean) < 5 * std::sqrt(mean));
      // Training lines are others: at most as many of the first thousand come again as chance has it.
      if (n == 8 && symbols == 26) {
        const std::vector<std::int32_t> first(text.ids.begin(), text.ids.begin() + 18);
        CHECK(std::search(corpus.train.ids.begin(), corpus.train.ids.end(), first.begin(), first.end()) ==
              corpus.train.ids.end());
      }
    }
  }
}

TEST_CASE("what a source does not score is in no target, and in no floor", "[data]") {
  OptionValues options;
  options.set("copy-length", 3);
  const Corpus corpus = data_source("copy", options)->load("copy");
  const ValidationWindows valid(corpus.valid, corpus.first_input, 20);
  Batch batch;
  valid.fill(batch, 0, 2);
  CHECK(batch.scored == 2 * 2 * 4);  // two lines of 8 tokens in each window of 20, four scored of each
  CHECK(batch.floor_nats == 0);
  const auto train =
      Registry<TrainWindows>::make("random", corpus.train, corpus.first_input, 16, std::uint64_t{1}, options);
  train->fill(batch, 0, 5);
  for (Index row = 0; row < 5; ++row)
    for (Index t = 0; t < 16; ++t) CHECK((batch.targets[row * 16 + t] == -1) == (t % 8 < 4));
  // Who sees no context knows of a symbol its share of the copies, and their ends.
  const double unigram = unigram_nats(corpus.train, corpus.valid);
  CHECK(unigram == Approx(0.75 * std::log(16 / 0.75) + 0.25 * std::log(4)).epsilon(2e-3));
}
