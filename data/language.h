// The built-in language: tiny stories, of which everything is known.
//
//   Poor Finn lost his tiny drums by the road. "Cheer up, Finn!" cried Otto shyly. He dug up the tiny drums
//   under a rug. They were a bit wet. Finn calmed him all day.
//
// A story remembers: whoever was named is "he" or "she" ever after, the tiny drums stay tiny and drums, one
// drum was and two drums were, each quotation is closed, even one in another. A model that does not look
// back cannot tell these stories well. And since the language is a grammar whose every character has an exact
// probability (see chooser.h), one can say how well a model could do at best: its entropy, below.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "data/chooser.h"
#include "engine/real.h"

namespace ef {

// No story is longer, the '\n' at its end included.
constexpr Index kLongestStory = 240;

// Story number `index` of the sequence that belongs to `seed`. Stories are independent of each other.
Story write_story(std::uint64_t seed, std::uint64_t index);

struct Verdict {
  bool grammatical = false;  // the text is one whole story
  Index accepted = 0;        // characters from the beginning that are the beginning of a story
  double nats = 0;           // -log p of these
  std::string expected;      // what could have come there instead; empty if grammatical
};

// Judges a text: exactly one story, with its final '\n'.
Verdict read_story(std::string_view text);

// What is true of the language on average, computed exactly (not from samples).
struct LanguageFacts {
  double stories = 0;               // how many different ones there are
  double nats_per_story = 0;        // the entropy of a story
  double chars_per_story = 0;       // the mean length
  Index shortest = 0, longest = 0;  // in characters
  double nats_per_char() const { return nats_per_story / chars_per_story; }  // no model can do better
};
LanguageFacts language_facts();  // takes about half a second

}  // namespace ef
