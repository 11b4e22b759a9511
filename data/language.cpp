#include "data/language.h"

#include <algorithm>
#include <cmath>
#include <compare>
#include <map>
#include <vector>

#include "data/words.h"

namespace ef {
namespace {

using namespace words;

// ---- The memory: all that a story carries from one scene to the next. It is kept small because
// language_facts() goes through every memory that can arise. Numbers are places in the lists of words.h.

struct Memory {
  std::int8_t plot = 0, scene = 0;
  std::int8_t giver = 0, owner = 0;                 // names: who finds or makes the thing, who gets it
  std::int8_t speaker = 0;                          // who said what has just been quoted
  std::int8_t adjective = 0, noun = 0, plural = 0;  // the thing
  auto operator<=>(const Memory&) const = default;
};

// ---- Phrases

std::string_view name(int number) { return kNames[number]; }

// Says texts as they are, and one word of each list.
void say_one(Chooser& c, std::string_view text) { c.say(text); }
void say_one(Chooser& c, const Words& list) { c.choose(list); }
template <class... Parts>
void say(Chooser& c, const Parts&... parts) {
  (say_one(c, parts), ...);
}

// Says one word of a list and returns its place, which fits into a Memory because the lists are short.
std::int8_t pick(Chooser& c, const Words& list) { return static_cast<std::int8_t>(c.choose(list)); }

// Names somebody who is not in the story yet.
std::int8_t newcomer(Chooser& c, std::initializer_list<int> present) {
  std::vector<double> weights(kNames.size(), 1.0);
  for (const int known : present) weights[known] = 0;
  return static_cast<std::int8_t>(c.choose(kNames, weights));
}

// "red key", "red keys"
void say_thing(Chooser& c, const Memory& m) {
  say(c, kAdjectives[m.adjective], " ", kNouns[m.noun], m.plural ? "s" : "");
}

// A story that will not name the thing again need not remember it.
void forget_thing(Memory& m) { m.adjective = m.noun = m.plural = 0; }

// ---- Scenes: a sentence each, or a part of one. A scene ends with the space before the next.

// The plots are told apart by their first word.
void begin(Chooser& c, Memory& m) {
  m.plot = static_cast<std::int8_t>(c.choose({"One ", "Poor ", "Kind "}, {2, 1, 1}));
}

// "a red key ", "an old key ", "two red keys "
void new_thing(Chooser& c, Memory& m) {
  m.plural = c.choose({"a", "two ", "six "}, {2, 1, 1}) > 0;
  m.adjective = pick(c, m.plural ? kAdjectives : kAfterA);
  c.say(" ");
  m.noun = pick(c, kNouns);
  c.say(m.plural ? "s " : " ");
}

// After a quotation: "said Ben. ", or "he said " and how.
void said_name(Chooser& c, Memory& m) { say(c, kSaid, " ", name(m.speaker), ". "); }
void he_said(Chooser& c, Memory& m) { say(c, pronouns(m.speaker).he, " ", kSaid, " "); }
void how(Chooser& c, Memory&) { say(c, kHow, ". "); }

// Plot "One": a thing is found, and goes to its owner.

void find(Chooser& c, Memory& m) {
  say(c, kWeather, " ", kTimes, ", ");
  m.giver = pick(c, kNames);
  say(c, " ", kFound, " ");
}

void where(Chooser& c, Memory&) { say(c, kPlaces, ". "); }

void visit(Chooser& c, Memory& m) {
  say(c, pronouns(m.giver).He, " ", kWent, " to ");
  m.owner = newcomer(c, {m.giver});
  c.say(". ");
}

void ask(Chooser& c, Memory& m) {
  m.speaker = m.giver;
  say(c, m.plural ? "\"Are these" : "\"Is this", " your ");
  say_thing(c, m);
  c.say("?\" ");
}

// If it belongs to somebody else, the answer quotes them: a quotation in a quotation.
void answer(Chooser& c, Memory& m) {
  m.speaker = m.owner;
  if (c.choose({"\"Yes, ", "\"No, "}, {3, 1}) == 0) {
    say(c, kJoy, "!\" ");
  } else {
    m.owner = newcomer(c, {m.giver, m.owner});
    c.say(" said \"My ");
    say_thing(c, m);
    say(c, m.plural ? " are" : " is", " gone!\" ", kWhen, ",\" ");
  }
  forget_thing(m);
}

// Plot "Poor": a thing is lost, and somebody helps.

void lose(Chooser& c, Memory& m) {
  m.owner = pick(c, kNames);
  say(c, " lost ", pronouns(m.owner).his, " ");
  m.adjective = pick(c, kAdjectives);
  c.say(" ");
  m.noun = pick(c, kNouns);
  m.plural = c.choose({" ", "s "}, {2, 1}) > 0;
}

void comfort(Chooser& c, Memory& m) { say(c, "\"", kComfort, ", ", name(m.owner), "!\" "); }

void helper_said(Chooser& c, Memory& m) {
  say(c, kSaid, " ");
  m.giver = newcomer(c, {m.owner});
  c.say(" ");
}

void search(Chooser& c, Memory& m) {
  say(c, pronouns(m.giver).He, " ", kFound, " the ");
  say_thing(c, m);
  say(c, " ", kHidden, ". ");
}

void admire(Chooser& c, Memory& m) {
  say(c, m.plural ? "They were " : "It was ", kVery, " ", kQualities, ". ");
  forget_thing(m);
}

// Plot "Kind": a thing is a present.

void make(Chooser& c, Memory& m) {
  m.giver = pick(c, kNames);
  say(c, " ", kMade, " ");
}

void make_for(Chooser& c, Memory& m) {
  c.say("for ");
  m.owner = newcomer(c, {m.giver});
  c.say(". ");
}

void wait(Chooser& c, Memory& m) {
  const std::string_view it = m.plural ? "them" : "it";
  const Pronouns &giver = pronouns(m.giver), &owner = pronouns(m.owner);
  if (c.choose({giver.He, "\"Will "}) == 0) {
    say(c, " hid ", it, " ", kHidden, ". ");
  } else {
    say(c, owner.he, " ", kWill, " ", it, "?\" ", giver.he, " asked ", kListeners, ". ");
  }
}

void give(Chooser& c, Memory& m) {
  m.speaker = m.giver;
  say(c, "\"", kLook, ", ", name(m.owner), "!\" ");
}

void receive(Chooser& c, Memory& m) {
  c.choose({"\"My ", "\"The ", "\"Oh, "});
  say_thing(c, m);
  say(c, "!\" ", kSaid, " ", name(m.owner), " ");
  forget_thing(m);
}

// The end of all plots.
void end(Chooser& c, Memory& m) {
  if (c.choose({name(m.owner), "They"}) == 0) {
    say(c, " ", kHugged, " ", pronouns(m.giver).him);
  } else {
    say(c, " ", kPlayed);
  }
  say(c, " ", kUntil, ".\n");
}

// ---- The plots

using Scene = void (*)(Chooser&, Memory&);
const std::vector<std::vector<Scene>> kPlots = {
    {begin, find, new_thing, where, visit, ask, he_said, how, answer, said_name, end},
    {begin, lose, where, comfort, helper_said, how, search, admire, end},
    {begin, make, new_thing, make_for, wait, give, he_said, how, receive, how, end},
};

// Tells the next scene; false if the story is over.
bool tell(Chooser& c, Memory& m) {
  const std::vector<Scene>& scenes = kPlots[m.plot];
  if (m.scene == std::ssize(scenes)) return false;
  scenes[m.scene](c, m);
  ++m.scene;
  return true;
}

}  // namespace

Story write_story(std::uint64_t seed, std::uint64_t index) {
  constexpr std::uint64_t kDrawsPerStory = 256;  // more than any story needs
  Writer writer(Random{seed, stream_of(Purpose::data, 0), 0}, index * kDrawsPerStory);
  for (Memory memory; tell(writer, memory);) continue;
  return std::move(writer.story);
}

Verdict read_story(std::string_view text) {
  Reader reader(text);
  Verdict verdict;
  try {
    for (Memory memory; tell(reader, memory);) continue;
    verdict.grammatical = reader.accepted() == std::ssize(text);
    if (!verdict.grammatical) verdict.expected = "the end";
  } catch (const Reader::Left&) {
    verdict.expected = reader.expected;
  }
  verdict.accepted = reader.accepted();
  for (const float nats : reader.nats) verdict.nats += static_cast<double>(nats);
  return verdict;
}

// A scene depends on what was told before only through the memory. So it is enough to know with which
// probability each memory is reached, and to go through the texts of one scene for each of them. Since a
// text arises in one way only, its nats are those of its choices, and the nats of a story are the sum over
// its scenes (the chain rule of entropy).
LanguageFacts language_facts() {
  struct Reached {
    double probability = 0, stories = 0;  // of all stories so far that end in this memory, and their number
    Index shortest = 0, longest = 0;
  };
  LanguageFacts facts;
  facts.shortest = kLongestStory;
  std::map<Memory, Reached> now = {{Memory{}, Reached{1, 1, 0, 0}}};
  while (!now.empty()) {
    std::map<Memory, Reached> next;
    for (const auto& [memory, reached] : now) {
      Census census;
      do {
        Memory after = memory;
        const bool told = tell(census, after);
        const Index shortest = reached.shortest + census.length(),
                    longest = reached.longest + census.length();
        if (!told) {
          facts.stories += reached.stories;
          facts.shortest = std::min(facts.shortest, shortest);
          facts.longest = std::max(facts.longest, longest);
          continue;
        }
        const double p = reached.probability * census.probability();
        facts.nats_per_story -= p * std::log(census.probability());
        facts.chars_per_story += p * static_cast<double>(census.length());
        Reached& sum = next.try_emplace(after, Reached{0, 0, shortest, longest}).first->second;
        sum.probability += p;
        sum.stories += reached.stories;
        sum.shortest = std::min(sum.shortest, shortest);
        sum.longest = std::max(sum.longest, longest);
      } while (census.next());
    }
    now = std::move(next);
  }
  return facts;
}

}  // namespace ef
