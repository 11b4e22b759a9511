// The built-in language, and the choosers that grammars are made of.
#include "data/language.h"

#include <cmath>
#include <cstdlib>
#include <set>

#include "data/chooser.h"
#include "engine/error.h"
#include "tests/catch.h"

namespace {

using namespace ef;

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

// A small grammar of six texts.
void little(Chooser& c) {
  c.say("Hi ");
  if (c.choose({"sun", "sea", "moon"}, {1, 1, 2}) == 2) {
    c.choose({"!", "?"});
  } else {
    c.choose({".", ", "}, {3, 1});
    c.choose({"never", "x"}, {0, 1});
  }
}

// p(c | prefix) for all characters of ASCII, from read_story alone.
double sum_of_next(const std::string& prefix) {
  const double before = read_story(prefix).nats;
  double sum = 0;
  for (char c = 1; c < 127; ++c) {
    const Verdict verdict = read_story(prefix + c);
    if (verdict.accepted == std::ssize(prefix) + 1) sum += std::exp(before - verdict.nats);
  }
  return sum;
}

}  // namespace

TEST_CASE("choosers agree on a small grammar", "[language]") {
  double total = 0;
  int texts = 0;
  Census census;
  do {
    little(census);
    total += census.probability();
    ++texts;
  } while (census.next());
  CHECK(texts == 6);
  CHECK(total == Approx(1));

  Reader reader("Hi sea, x");
  little(reader);
  REQUIRE(reader.accepted() == 9);
  const std::vector<double> expected = {0,
                                        0,
                                        0,
                                        std::log(2.0),
                                        std::log(2.0),  // "s", then "e"
                                        0,
                                        std::log(4.0),
                                        0,
                                        0};
  for (std::size_t i = 0; i < expected.size(); ++i)
    CHECK(static_cast<double>(reader.nats[i]) == Approx(expected[i]).margin(1e-7));

  Reader lost("Hi sky");
  CHECK_THROWS_AS(little(lost), Reader::Left);
  CHECK(lost.accepted() == 4);
  CHECK(lost.expected == "\"un\" or \"ea\"");

  // Each text as often as its probability says.
  int moons = 0;
  for (std::uint64_t i = 0; i < 4000; ++i) {
    Writer writer(Random{1, 2, 3}, 8 * i);
    little(writer);
    moons += writer.story.text.starts_with("Hi moon") ? 1 : 0;
    CHECK(writer.story.text.find("never") == std::string::npos);
  }
  CHECK(moons == Approx(2000).margin(4 * std::sqrt(1000.0)));
}

TEST_CASE("an ambiguous choice is an error", "[language]") {
  Writer writer{Random{}};
  Reader reader("abc");
  for (Chooser* c : {static_cast<Chooser*>(&writer), static_cast<Chooser*>(&reader)}) {
    CHECK_THROWS_AS(c->choose({"a", "ab"}), Error);
    CHECK_THROWS_AS(c->choose({"ab", "x", "a"}), Error);
    CHECK_THROWS_AS(c->choose({"a", "a"}), Error);
    CHECK_THROWS_AS(c->choose({"", "a"}), Error);
    CHECK_THROWS_AS(c->choose({"a", "b"}, {0, 0}), Error);
    CHECK_THROWS_AS(c->choose({"a", "b"}, {1}), Error);
  }
}

TEST_CASE("what is written can be read, at the same price", "[language]") {
  std::set<std::string> different;
  for (std::uint64_t i = 0; i < 5000; ++i) {
    const Story story = write_story(3, i);
    REQUIRE(story.nats.size() == story.text.size());
    REQUIRE(std::ssize(story.text) <= kLongestStory);
    REQUIRE(story.text.find('\n') == story.text.size() - 1);
    double nats = 0;
    for (const float n : story.nats) {
      REQUIRE(n >= 0);
      nats += static_cast<double>(n);
    }
    const Verdict verdict = read_story(story.text);
    INFO(story.text);
    REQUIRE(verdict.grammatical);
    REQUIRE(verdict.accepted == std::ssize(story.text));
    REQUIRE(verdict.expected.empty());
    REQUIRE(verdict.nats == Approx(nats).epsilon(1e-6));
    different.insert(story.text);
  }
  CHECK(different.size() == 5000);
  CHECK(write_story(3, 17).text == write_story(3, 17).text);
  CHECK(write_story(3, 17).text != write_story(4, 17).text);
}

TEST_CASE("the probabilities of the next character sum to 1", "[language]") {
  for (std::uint64_t i = 0; i < 12; ++i) {
    const std::string text = write_story(5, i).text;
    for (std::size_t size = 0; size < text.size(); ++size) {
      INFO(text.substr(0, size));
      REQUIRE(sum_of_next(text.substr(0, size)) == Approx(1).epsilon(1e-5));
    }
    CHECK(sum_of_next(text) == 0);  // nothing comes after the end
  }
}

TEST_CASE("the entropy is what stories cost on average", "[language]") {
  const LanguageFacts facts = language_facts();
  constexpr int kStories = 20000;
  double nats = 0, nats_squared = 0, chars = 0, chars_squared = 0;
  Index shortest = kLongestStory, longest = 0;
  for (std::uint64_t i = 0; i < kStories; ++i) {
    const Story story = write_story(6, i);
    double n = 0;
    for (const float x : story.nats) n += static_cast<double>(x);
    const auto size = static_cast<double>(story.text.size());
    nats += n / kStories;
    nats_squared += n * n / kStories;
    chars += size / kStories;
    chars_squared += size * size / kStories;
    shortest = std::min(shortest, std::ssize(story.text));
    longest = std::max(longest, std::ssize(story.text));
  }
  const auto standard_error = [](double mean, double square) {
    return std::sqrt((square - mean * mean) / kStories);
  };
  CHECK(std::abs(nats - facts.nats_per_story) < 4 * standard_error(nats, nats_squared));
  CHECK(std::abs(chars - facts.chars_per_story) < 4 * standard_error(chars, chars_squared));
  CHECK(facts.shortest <= shortest);
  CHECK(facts.longest >= longest);
  CHECK(facts.longest <= kLongestStory);
  CHECK(facts.stories > 1e15);
  CHECK(facts.nats_per_char() == Approx(facts.nats_per_story / facts.chars_per_story));
}

TEST_CASE("what a story has told binds it", "[language]") {
  const std::string poor =
      "Poor Ben lost his blue rings by the pond. \"Cheer up, Ben!\" cried Mia softly. "
      "She found the blue rings under a cow. They were all muddy. Ben hugged her all day.\n";
  const std::string one =
      "One foggy Friday, Mia found an old key on a roof. She ran to Otto. \"Is this your old key?\" she sang "
      "kindly. \"No, Tom said \"My old key is gone!\" today,\" cried Otto. Tom hugged her with joy.\n";
  const std::string kind =
      "Kind Tom made a red cup for Anna. \"Will she like it?\" he asked the moon. \"Surprise, Anna!\" he "
      "said "
      "twice. \"The red cup!\" sang Anna once more. They had tea in the sun.\n";
  for (const std::string& story : {poor, one, kind}) {
    const Verdict verdict = read_story(story);
    INFO(story << "left at " << verdict.accepted << ", expected " << verdict.expected);
    REQUIRE(verdict.grammatical);
  }
  struct Change {
    std::string story, from, to;
    std::size_t wrong;  // the character of `to` that cannot be
  };
  const std::vector<Change> changes = {
      {poor, "his blue", "her blue", 1},             // Ben is a boy
      {poor, "She found", "He found", 0},            // Mia is a girl
      {poor, "the blue rings", "the red rings", 4},  // they were blue
      {poor, "blue rings under", "blue cups under", 5},
      {poor, "rings under", "ring under", 4},  // and more than one
      {poor, "They were", "It was", 0},
      {poor, "up, Ben", "up, Tom", 4},  // who is comforted
      {poor, "Ben hugged", "Mia hugged", 0},
      {poor, "hugged her", "hugged him", 8},
      {poor, "cried Mia", "cried Ben", 6},      // somebody else must help
      {poor, "Ben!\" cried", "Ben! cried", 4},  // quotations are closed
      {one, "an old", "a old", 2},              // a and an
      {one, "She ran", "He ran", 0},
      {one, "to Otto", "to Mia", 3},
      {one, "Is this", "Are these", 0},
      {one, "she sang", "he sang", 0},
      {one, "key is gone", "key are gone", 4},
      {one, "My old key", "My old cup", 7},
      {one, "gone!\" today,\"", "gone! today,\"", 5},  // the inner quotation
      {one, "cried Otto", "cried Tom", 6},             // who speaks
      {one, "Tom hugged", "Otto hugged", 0},           // whose key it is
      {one, "hugged her", "hugged him", 8},
      {kind, "Will she", "Will he", 5},
      {kind, "like it", "like them", 5},
      {kind, "he asked", "she asked", 0},
      {kind, "Surprise, Anna", "Surprise, Lucy", 10},
      {kind, "sang Anna", "sang Tom", 5},
      {kind, "sun.\n", "sun", 3},
  };
  for (const Change& change : changes) {
    const std::string text = replaced(change.story, change.from, change.to);
    const Verdict verdict = read_story(text);
    INFO(change.from << " -> " << change.to << " in " << change.story << "expected " << verdict.expected);
    CHECK_FALSE(verdict.grammatical);
    CHECK(verdict.accepted == static_cast<Index>(change.story.find(change.from) + change.wrong));
    CHECK_FALSE(verdict.expected.empty());
  }
  CHECK(read_story(replaced(poor, "They were", "It was")).expected == "\"They were \"");
}

TEST_CASE("a verdict tells where a text leaves the language", "[language]") {
  CHECK(read_story("").accepted == 0);
  CHECK(read_story("").expected == "\"One \" or \"Poor \" or \"Kind \"");
  const std::string story = write_story(1, 1).text;
  const Verdict more = read_story(story + "More");
  CHECK_FALSE(more.grammatical);
  CHECK(more.accepted == std::ssize(story));
  CHECK(more.expected == "the end");

  // A character that is not used anywhere: rejected exactly there, and what stands before costs the same.
  for (std::size_t i = 0; i < story.size(); ++i) {
    std::string corrupted = story;
    corrupted[i] = '#';
    CHECK(read_story(corrupted).accepted == static_cast<Index>(i));
    CHECK(read_story(corrupted).nats == read_story(story.substr(0, i)).nats);
  }
}
