// Corpora from files, folders, the built-in language, and data/fetch.
#include "data/corpus.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "data/language.h"
#include "engine/error.h"
#include "tests/catch.h"
#include "tests/helpers.h"

namespace {

using namespace ef;
namespace fs = std::filesystem;
using Ids = std::vector<std::int32_t>;

// A folder of its own for each test, removed with all that is in it.
struct Folder {
  Folder() {
    std::string name = (fs::temp_directory_path() / "eigenformer-test-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { fs::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string write(const std::string& name, const std::string& text) const {
    fs::create_directories((path / name).parent_path());
    std::ofstream(path / name, std::ios::binary) << text;
    return (path / name).string();
  }
  fs::path path;
};

// What a shell command prints, error messages included, and its exit status at the end: "text[2]".
std::string shell(const std::string& command) {
  FILE* pipe = popen((command + " 2>&1; echo \"[$?]\"").c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string output;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) output += static_cast<char>(c);
  pclose(pipe);
  return output;
}

}  // namespace

TEST_CASE("a file: nine tenths train", "[data]") {
  const Folder folder;
  const std::string path = folder.write("some.txt",
                                        "abéab\nababa\nbb");  // 14 characters
  const Corpus chars = load_corpus(path, "chars");
  CHECK(chars.name == "some");
  CHECK(chars.tokenizer->vocab_size() == 4);
  CHECK(chars.train.ids == chars.tokenizer->encode("abéab\nababa\n"));  // 14 * 9 / 10 = 12
  CHECK(chars.valid.ids == chars.tokenizer->encode("bb"));
  CHECK(chars.test.ids.empty());
  CHECK(chars.train.starts.empty());
  CHECK(chars.train.floor_nats.empty());
  CHECK(chars.first_input == chars.tokenizer->find("\n"));
  CHECK(load_corpus(folder.write("line.txt", "abcdefghij"), "chars").first_input == 0);

  std::string lines;
  for (int i = 0; i < 10; ++i) lines += "line " + std::to_string(i) + (i < 9 ? "\n" : "");
  const Corpus words = load_corpus(folder.write("lines.txt", lines), "words");
  CHECK(words.train.size() == 27);
  CHECK(words.valid.ids == Ids{words.tokenizer->find("line"), 3, 2});
  CHECK(words.tokenizer->find("9") == -1);  // it stands in the validation text only
  CHECK(words.first_input == 2);
}

TEST_CASE("a folder: train.txt, valid.txt, test.txt", "[data]") {
  const Folder folder;
  folder.write("my/train.txt", "a b a\n");
  folder.write("my/valid.txt", "b c\n");
  const std::string path = (folder.path / "my").string();
  CHECK(load_corpus(path, "words").test.ids.empty());
  folder.write("my/test.txt", "d");
  const Corpus words = load_corpus(path + "/", "words");
  CHECK(words.name == "my");
  CHECK(words.train.ids == Ids{4, 5, 4, 2});
  CHECK(words.valid.ids == Ids{5, 3, 2});
  CHECK(words.test.ids == Ids{3, 2});
  OptionValues five;
  five.set("max-vocabulary", 5);
  const Corpus cut = load_corpus(path, "words", five);  // a alone has an entry of its own
  CHECK(cut.train.ids == Ids{4, 3, 4, 2});
  CHECK(cut.fingerprint() != words.fingerprint());
  const Corpus chars = load_corpus(path, "chars");  // all characters of all splits: \n, space, a, b, c, d
  CHECK(chars.tokenizer->vocab_size() == 6);
  CHECK(chars.test.ids == Ids{5});
}

TEST_CASE("unigrams: the loss of a model that knows only how frequent tokens are", "[data]") {
  const Split train{{0, 0, 0, 1}, {}, {}};
  // -log(3/4), -log(1/4)
  CHECK(std::abs(unigram_nats(train, Split{{0, 1}, {}, {}}) - std::log(16.0 / 3) / 2) < 1e-15);
  // On its own text it is the entropy of the frequencies.
  CHECK(std::abs(unigram_nats(train, train) - (0.75 * std::log(4.0 / 3) + 0.25 * std::log(4.0))) < 1e-15);
  CHECK(unigram_nats(train, Split{{0, 2}, {}, {}}) == INFINITY);
  CHECK(std::isnan(unigram_nats(train, Split{})));
}

TEST_CASE("files that cannot be a corpus", "[data]") {
  const Folder folder;
  const auto error = [&](const std::string& path, const char* tokenizer = "chars") {
    const std::string message = thrown_by([&] { load_corpus(path, tokenizer); });
    CHECK(contains(message, path));
    return message;
  };
  CHECK(contains(error((folder.path / "nothing").string()), "no such file"));
  CHECK(contains(error(folder.write("empty.txt", "")), "empty"));
  CHECK(contains(error(folder.write("binary.txt", std::string("ab\0c", 4))), "a NUL byte at 2"));
  CHECK(contains(error(folder.write("latin1.txt", "caf\xE9\n")), "byte 3, line 1"));
  CHECK(contains(error(folder.write("same.txt", "aaaaaaaaaaaaaaaa")), "one token again and again"));
  CHECK(contains(error(folder.write("one.txt", "a")), "one character"));
  CHECK(contains(error(folder.write("line.txt", "a single line\n"), "words"), "one line"));
  CHECK(contains(error(folder.write("blank.txt", "\n\n \n\n"), "words"), "one token again and again"));

  folder.write("half/input.txt", "x");
  const std::string half = error((folder.path / "half").string());
  CHECK(contains(half, "has no train.txt"));
  CHECK(contains(half, "half/input.txt"));
  folder.write("half/train.txt", "abc");
  CHECK(contains(error((folder.path / "half").string()), "has no valid.txt"));
  folder.write("half/valid.txt", "");
  CHECK(contains(error((folder.path / "half").string()), "valid.txt is empty"));
}

TEST_CASE("the fingerprint changes with every part of a corpus", "[data]") {
  const Corpus corpus = builtin_corpus(1, 2000, 500);
  CHECK(corpus.fingerprint() == builtin_corpus(1, 2000, 500).fingerprint());
  CHECK(corpus.fingerprint() != builtin_corpus(2, 2000, 500).fingerprint());
  Corpus other = corpus;
  other.train.ids[100] ^= 1;
  CHECK(corpus.fingerprint() != other.fingerprint());
  other = corpus;
  std::swap(other.valid.ids[0], other.valid.ids[1]);
  CHECK(corpus.fingerprint() != other.fingerprint());
  other = corpus;
  other.valid.ids.insert(other.valid.ids.begin(), other.train.ids.back());  // moved from one to the other
  other.train.ids.pop_back();
  CHECK(corpus.fingerprint() != other.fingerprint());
  other = corpus;
  other.tokenizer = characters_of(corpus.tokenizer->decode(corpus.train.ids) + "#");
  CHECK(corpus.fingerprint() != other.fingerprint());
}

TEST_CASE("the built-in corpus is made of stories with known nats", "[data]") {
  const Corpus corpus = builtin_corpus(1, 20000, 5000);
  CHECK(corpus.name == "stories");
  CHECK(corpus.test.ids.empty());
  CHECK(corpus.first_input == corpus.tokenizer->find("\n"));
  CHECK(corpus.tokenizer->vocab_size() == builtin_corpus(9, 1, 1).tokenizer->vocab_size());
  for (const Split* split : {&corpus.train, &corpus.valid}) {
    const Index wanted = split == &corpus.train ? 20000 : 5000;
    REQUIRE(split->floor_nats.size() == split->ids.size());
    CHECK(split->size() >= wanted);
    CHECK(split->starts.back() < wanted);  // the last story was needed
    for (std::size_t i = 0; i < split->starts.size(); ++i) {
      const Index begin = split->starts[i];
      const Index end = i + 1 < split->starts.size() ? split->starts[i + 1] : split->size();
      const std::string text = corpus.tokenizer->decode(
          std::span(split->ids)
              .subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)));
      const Verdict verdict = read_story(text);
      REQUIRE(verdict.grammatical);
      double nats = 0;
      for (Index t = begin; t < end; ++t) nats += static_cast<double>(split->floor_nats[t]);
      REQUIRE(nats == Approx(verdict.nats).epsilon(1e-6));
    }
  }
  CHECK(contains(thrown_by([] { builtin_corpus(1, 0, 10); }), "got 0 to train"));
}

// WikiText-2 is not shipped: EIGENFORMER_DATA names a folder that holds wikitext-2/, as data/fetch makes it.
TEST_CASE("WikiText-2 becomes fairseq's streams, bit for bit", "[data]") {
  const char* data = std::getenv("EIGENFORMER_DATA");
  const fs::path path = fs::path(data ? data : "data/corpora") / "wikitext-2";
  if (!fs::exists(path)) {
    WARN("skipped: no folder " << path << " (data/fetch wikitext-2, or set EIGENFORMER_DATA)");
    return;
  }
  const Corpus corpus = load_corpus(path.string(), "words");
  CHECK(corpus.tokenizer->vocab_size() == 33280);
  struct Expected {
    const Split& split;
    Index size;
    std::string sha256;  // of the ids as uint16, little-endian; made with fairseq v0.12.2
  };
  const std::vector<Expected> cases = {
      {corpus.train, 2088628, "d7de81e7de3f1f14d3345cae2b203e723286e0b2f94878b82180f2b68505659f"},
      {corpus.valid, 217646, "5694edb799703678825712703fa36f676e2048db1b6d1241072715d13e969596"},
      {corpus.test, 245569, "a920fd0bb2800e2cc16a847311d6963e9af1a468efb5181cf7816de1806e75ec"}};
  const Folder folder;
  for (const auto& [split, size, sha256] : cases) {
    CHECK(split.size() == size);
    std::string bytes;
    for (const std::int32_t id : split.ids) {
      bytes += static_cast<char>(id & 0xFF);
      bytes += static_cast<char>(id >> 8);
    }
    CHECK(contains(shell("sha256sum " + folder.write("ids", bytes)), sha256));
  }
}

TEST_CASE("a byte-order mark and other line ends are read as what they mean, and noted", "[corpus]") {
  const Folder folder;
  const std::string plain = "a b\nc\n\nd e\nlast";
  const Corpus expected = load_corpus(folder.write("plain.txt", plain), "chars");
  CHECK(expected.notes.empty());
  for (const auto& [name, text] :
       {std::pair{"dos.txt", "a b\r\nc\r\n\r\nd e\r\nlast"}, std::pair{"mac.txt", "a b\rc\r\rd e\rlast"},
        std::pair{"mixed.txt", "a b\r\nc\n\rd e\nlast"}}) {
    INFO(name);
    const Corpus read = load_corpus(folder.write(name, text), "chars");
    CHECK(read.fingerprint() == expected.fingerprint());
    REQUIRE(read.notes.size() == 1);
    CHECK(contains(read.notes[0], name));
    CHECK(contains(read.notes[0], "--keep-line-ends"));
    const Corpus kept = load_corpus((folder.path / name).string(), "chars", {}, LineEnds::keep);
    CHECK(kept.notes.empty());
    CHECK(kept.fingerprint() != expected.fingerprint());
  }
  const Corpus marked = load_corpus(folder.write("marked.txt", "\xEF\xBB\xBF" + plain), "chars");
  CHECK(marked.fingerprint() == expected.fingerprint());
  REQUIRE(marked.notes.size() == 1);
  CHECK(contains(marked.notes[0], "byte-order mark at the beginning of marked.txt"));
  CHECK(thrown_by([&] { load_corpus(folder.write("only.txt", "\xEF\xBB\xBF"), "chars"); }) !=
        "nothing thrown");

  // A folder: said once, with all files that it is about.
  folder.write("many/train.txt", "a b\r\nc\r\n");
  folder.write("many/valid.txt",
               "\xEF\xBB\xBF"
               "a b\r\n");
  const Corpus many = load_corpus((folder.path / "many").string(), "chars");
  REQUIRE(many.notes.size() == 2);
  CHECK(contains(many.notes[0], "valid.txt"));
  CHECK(contains(many.notes[1], "train.txt, valid.txt"));
}

TEST_CASE("data/fetch takes only the right files", "[data]") {
  if (!fs::exists("data/fetch")) {
    WARN("skipped: data/fetch is not here (run the tests from the root of the repository)");
    return;
  }
  const Folder folder;
  const std::string mirror = " --mirror file://" + folder.path.string();
  const fs::path to = folder.path / "to";
  const std::string options = mirror + " --to " + to.string();
  CHECK(contains(shell("data/fetch --help"), "usage: data/fetch CORPUS"));
  CHECK(contains(shell("data/fetch war-and-peace"), "expected wikitext-2 or tinyshakespeare\n[2]"));
  CHECK(contains(shell("data/fetch"), "which corpus? wikitext-2 or tinyshakespeare"));
  CHECK(contains(shell("data/fetch tinyshakespeare --from here"), "unknown option --from"));
  CHECK(contains(shell("data/fetch tinyshakespeare" + options), "cannot download"));
  folder.write("input.txt", "To be, or so.\n");
  const std::string output = shell("data/fetch tinyshakespeare" + options);
  INFO(output);
  CHECK(contains(output, "wrong sha256: got "));
  CHECK(contains(output, "expected 86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed\n[2]"));
  CHECK(fs::is_empty(to));

  const char* data = std::getenv("EIGENFORMER_DATA");
  const fs::path real = fs::path(data ? data : "data/corpora") / "tinyshakespeare";
  if (!fs::exists(real / "input.txt")) return;
  const std::string command =
      "data/fetch tinyshakespeare --mirror file://" + fs::absolute(real).string() + " --to " + to.string();
  CHECK(contains(shell(command), "input.txt\n[0]"));
  CHECK(contains(shell(command), "input.txt is there\n[0]"));
  CHECK(fs::file_size(to / "input.txt") == 1115394);
  CHECK_FALSE(fs::exists(to / "input.txt.part"));
}
