// Text to token ids and back.
#include "data/tokenizer.h"

#include "data/utf8.h"
#include "engine/error.h"
#include "engine/random.h"
#include "tests/catch.h"
#include "tests/helpers.h"

namespace {

using namespace ef;
using Ids = std::vector<std::int32_t>;

LearnedTokenizer words_of(std::string_view text, Index most = 0) {
  OptionValues options;
  options.set("max-vocabulary", most);
  return learn_tokenizer("words", {&text, 1}, options);
}

}  // namespace

TEST_CASE("UTF-8: every code point survives", "[data]") {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c == 0xD800) c = 0xE000;  // surrogates are no characters
    const std::string bytes = to_utf8(c);
    Index at = 0;
    const char32_t read = next_code_point(bytes, at);
    if (read != c || at != std::ssize(bytes)) FAIL("U+" << std::hex << static_cast<unsigned>(c));
  }
  CHECK(to_utf8(0xE9) == "\xC3\xA9");
  CHECK(to_utf8(0x20AC) == "\xE2\x82\xAC");
  CHECK(to_utf8(0x1F600) == "\xF0\x9F\x98\x80");
  CHECK(contains(thrown_by([] { to_utf8(0xD800); }), "U+D800"));
  CHECK_THROWS_AS(to_utf8(0x110000), Error);
}

TEST_CASE("UTF-8: what is not is rejected, with its place", "[data]") {
  const std::string good = "one\ntw\xC3\xB6 ";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"\x80", "continuation"},
      {"\xC3", "truncated"},
      {"\xC3x", "truncated"},
      {"\xE2\x82", "truncated"},
      {"\xF0\x9F\x98", "truncated"},
      {"\xC0\x80", "overlong"},
      {"\xC1\xBF", "overlong"},
      {"\xE0\x9F\xBF", "overlong"},
      {"\xF0\x8F\xBF\xBF", "overlong"},
      {"\xED\xA0\x80", "surrogate"},
      {"\xED\xBF\xBF", "surrogate"},
      {"\xF4\x90\x80\x80", "above U+10FFFF"},
      {"\xF8\x88\x80\x80\x80", "never"},
      {"\xFF", "never"},
  };
  for (const auto& [bad, why] : cases) {
    const std::string message = thrown_by([&, text = good + bad] { characters_of(text); });
    INFO(message);
    CHECK(contains(message, why));
    CHECK(contains(message, "byte 9, line 2"));
    CHECK_THROWS_AS(words_of(good + bad), Error);
  }
}

TEST_CASE("chars: sorted by code point, nothing is lost", "[data]") {
  const LearnedTokenizer t = characters_of("b€aé\na");
  CHECK(t.name == "chars");
  CHECK(t->vocab_size() == 5);
  CHECK(t->encode("\nabé€") == Ids{0, 1, 2, 3, 4});
  CHECK(t->token(4) == "€");
  CHECK(t->find("a") == 1);
  CHECK(t->find("z") == -1);
  CHECK(t->encode("").empty());

  const Random random{1, 2, 3};
  std::string text;
  for (std::uint64_t i = 0; i < 3000; ++i) {
    const std::array<char32_t, 4> bounds = {0x80, 0x800, 0xD800, 0x110000};
    auto c = static_cast<char32_t>(random.below(2 * i, bounds[random.below(2 * i + 1, 4)]));
    if (c >= 0xD800 && c <= 0xDFFF) c = 'x';
    text += to_utf8(c);
  }
  const LearnedTokenizer any = characters_of(text);
  CHECK(any->decode(any->encode(text)) == text);
  CHECK(std::ssize(any->encode(text)) == 3000);
}

TEST_CASE("chars: an unknown character is named", "[data]") {
  const LearnedTokenizer t = characters_of("abc\n");
  const std::string message = thrown_by([&] { t->encode("abé"); });
  INFO(message);
  CHECK(contains(message, "'é' (U+00E9) at byte 2"));
  CHECK(contains(message, "4 characters"));
  CHECK(contains(message, "abc"));
  CHECK(contains(thrown_by([&] { t->encode("\t"); }), "got U+0009 at byte 0"));
}

TEST_CASE("words: fairseq's dictionary", "[data]") {
  // b three times; a, c and "é" twice each: ties by code point; <unk> is the special entry.
  const std::string text = " b a <unk> b \n\n  é c\tc b\r\n a é <unk>\nonce";
  const LearnedTokenizer t = words_of(text);
  const std::vector<std::string> expected = {"<s>", "<pad>", "</s>", "<unk>", "b", "a", "c", "é", "once"};
  REQUIRE(t->vocab_size() == std::ssize(expected));
  for (Index i = 0; i < t->vocab_size(); ++i) CHECK(t->token(static_cast<std::int32_t>(i)) == expected[i]);
  // A blank line is </s> alone; the last line counts though it does not end in '\n'.
  CHECK(t->encode(text) == Ids{4, 5, 3, 4, 2, 2, 7, 6, 6, 4, 2, 5, 7, 3, 2, 8, 2});
  CHECK(t->encode("b\n") == Ids{4, 2});  // and a '\n' at the end opens no further line
  CHECK(t->encode("b") == Ids{4, 2});
  CHECK(t->encode("\n") == Ids{2});
  CHECK(t->encode("").empty());
  CHECK(t->encode("unheard of </s>\n") == Ids{3, 3, 2, 2});
  CHECK(t->decode(Ids{4, 5, 2, 2, 7, 3, 2}) == "b a\n\né <unk>\n");
  // Python's white space includes the no-break space.
  CHECK(t->encode("b\u00A0a") == Ids{4, 5, 2});
}

TEST_CASE("words: a dictionary cut off after its commonest", "[data]") {
  const std::string text = "b a b c\n<unk> c b d\n";  // by count: b, c, then a and d
  const LearnedTokenizer t = words_of(text, 6);
  REQUIRE(t->vocab_size() == 6);
  CHECK(t->token(4) == "b");
  CHECK(t->token(5) == "c");
  CHECK(t->encode(text) == Ids{4, 3, 4, 5, 2, 3, 5, 4, 3, 2});
  // The entries that are left have the ids that they have in the whole dictionary.
  const LearnedTokenizer whole = words_of(text);
  for (std::int32_t id = 0; id < 6; ++id) CHECK(t->token(id) == whole->token(id));
  for (const Index large : {8, 9, 1000}) CHECK(save(words_of(text, large)) == save(whole));
  CHECK(words_of(text, 5)->vocab_size() == 5);
  for (const Index small : {4, 1}) CHECK(contains(thrown_by([&] { words_of(text, small); }), "at least 5"));
}

TEST_CASE("words: tidy text comes back", "[data]") {
  const Random random{4, 5, 6};
  std::string text;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    text += "w" + std::to_string(random.below(2 * i, 50));
    text += i == 1999 || random.below(2 * i + 1, 7) == 0 ? "\n" : " ";
  }
  const LearnedTokenizer t = words_of(text);
  CHECK(t->decode(t->encode(text)) == text);
}

TEST_CASE("ids out of range are errors", "[data]") {
  const LearnedTokenizer t = characters_of("ab");
  CHECK(contains(thrown_by([&] { t->decode(Ids{0, 2}); }), "got 2, expected 0 to 1"));
  CHECK(contains(thrown_by([&] { t->token(-1); }), "got -1"));
}

TEST_CASE("every tokenizer: ids that may be, text that comes back, a file that is read again", "[data]") {
  const std::string text = "b a <unk>\n€ 😀 U+0041\n";
  const std::string_view texts[] = {text, "b c\n", ""};
  for (const std::string& name : Registry<Tokenizer>::names()) {
    INFO(name);
    const LearnedTokenizer t = learn_tokenizer(name, texts);
    REQUIRE(t->vocab_size() > 0);
    const Ids ids = t->encode(text);
    for (const std::int32_t id : ids) {
      REQUIRE((0 <= id && id < t->vocab_size()));
      CHECK(t->find(t->token(id)) == id);
    }
    CHECK(t->decode(ids) == text);
    CHECK(t->encode("").empty());
    CHECK(t->encode_prompt("").empty());
    const Ids prompt = t->encode_prompt("b a");
    CHECK(std::equal(prompt.begin(), prompt.end(), t->encode("b a").begin()));
    CHECK((0 <= t->first_input() && t->first_input() < t->vocab_size()));
    CHECK_NOTHROW(t->encode(texts[1]));  // what is held out can be read, too
    const auto last = static_cast<std::int32_t>(t->vocab_size() - 1);
    CHECK_NOTHROW(t->decode(Ids{0, last}));
    CHECK(contains(thrown_by([&] { t->decode(Ids{0, last + 1}); }), "got " + std::to_string(last + 1)));

    const std::string saved = save(t);
    const LearnedTokenizer loaded = load_tokenizer(saved);
    CHECK(loaded.name == name);
    CHECK(loaded->vocab_size() == t->vocab_size());
    CHECK(loaded->encode(text) == ids);
    CHECK(save(loaded) == saved);
    // Cut anywhere, it is rejected.
    for (std::size_t size = 0; size < saved.size(); ++size)
      if (thrown_by([&] { load_tokenizer(std::string_view(saved).substr(0, size)); }) == "nothing thrown")
        FAIL("accepted the first " << size << " bytes");
  }
  CHECK(save(characters_of("b\na")) == "eigenformer tokenizer 1 chars 3\nU+000A\nU+0061\nU+0062\n");
}

TEST_CASE("bytes: any text, and its bytes", "[data]") {
  const std::string_view nothing;
  const LearnedTokenizer t = learn_tokenizer("bytes", {&nothing, 1});
  CHECK(t->vocab_size() == 256);
  CHECK(t->first_input() == 10);
  CHECK(t->encode("é\n") == Ids{0xC3, 0xA9, 10});
  const std::string broken("\xFF\0\xC3", 3);
  CHECK(t->decode(t->encode(broken)) == broken);
  std::string saved = save(t);
  CHECK(contains(saved, "bytes 256\n00\n01\n"));
  saved.replace(saved.find("\n41\n"), 4, "\n4a\n");
  CHECK(contains(thrown_by([&] { load_tokenizer(saved); }), "line 67"));
  saved.replace(saved.find("\n4a\n"), 4, "\n42\n");
  CHECK(contains(thrown_by([&] { load_tokenizer(saved); }), "twice"));
  CHECK(contains(thrown_by([] { load_tokenizer("eigenformer tokenizer 1 bytes 1\n00\n"); }), "256 bytes"));
}

TEST_CASE("damaged tokenizer files are rejected", "[data]") {
  const auto error = [](const std::string& text) { return thrown_by([&] { load_tokenizer(text); }); };
  const std::string chars = "eigenformer tokenizer 1 chars 2\n", four = "<s>\n<pad>\n</s>\n<unk>\n";
  CHECK(contains(error(""), "first line"));
  CHECK(contains(error("something else\n"), "got 'something else'"));
  CHECK(contains(error("eigenformer tokenizer 2 chars 0\n"), "first line"));
  CHECK(contains(error("eigenformer tokenizer 1 bites 0\n"), "did you mean bytes?"));
  CHECK(contains(error("eigenformer tokenizer 1 chars two\nU+0041\nU+0042\n"), "number of tokens"));
  CHECK(contains(error(chars + "U+0041\n"), "got 1, expected 2"));
  CHECK(contains(error(chars + "U+0041\nU+0041\n"), "twice"));
  CHECK(contains(error(chars + "U+0041\nU+42\n"), "line 3"));
  CHECK(contains(error(chars + "U+0041\nB\n"), "code point"));
  CHECK(contains(error(chars + "U+0041\nU+\n"), "code point"));
  CHECK(contains(error(chars + "U+0041\nU+0042 \n"), "code point"));
  CHECK(contains(error(chars + "U+0041\nU+D800\n"), "not a character"));
  CHECK(contains(error(chars + "U+0041\nU+FFFFFFFFF\n"), "code point"));
  CHECK(contains(error("eigenformer tokenizer 1 words 1\n<s>\n"), "'<pad>'"));
  CHECK(contains(error("eigenformer tokenizer 1 words 4\n<s>\n<pad>\n<unk>\n</s>\n"), "line 4"));
  CHECK(contains(error("eigenformer tokenizer 1 words 5\n" + four + "a b\n"), "white space"));
  CHECK(contains(error("eigenformer tokenizer 1 words 5\n" + four + "\n"), "empty line"));
  CHECK(contains(error("eigenformer tokenizer 1 words 5\n" + four + "<s>\n"), "twice"));
  CHECK(error("eigenformer tokenizer 1 words 5\n" + four + "a\n") == "nothing thrown");
}
