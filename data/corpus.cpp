#include "data/corpus.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <unordered_map>

#include "data/language.h"
#include "data/utf8.h"
#include "engine/error.h"

namespace ef {
namespace {

namespace fs = std::filesystem;

// Files whose text is not read as it stands.
struct Changes {
  std::string marks, ends;  // names, with commas: which began with a byte-order mark, had other line ends

  std::vector<std::string> notes() const {
    std::vector<std::string> list;
    if (!marks.empty()) list.push_back("the byte-order mark at the beginning of " + marks + " is left out");
    if (!ends.empty())
      list.push_back("CR LF and CR are read as line ends in " + ends + " (--keep-line-ends: as they are)");
    return list;
  }
};

// CR LF and CR become LF, in place. Returns whether there was one.
bool unify_line_ends(std::string& text) {
  if (text.find('\r') == text.npos) return false;
  std::size_t to = 0;
  for (std::size_t from = 0; from < text.size(); ++from) {
    const bool carriage = text[from] == '\r';
    if (carriage && from + 1 < text.size() && text[from + 1] == '\n') continue;
    text[to++] = carriage ? '\n' : text[from];
  }
  text.resize(to);
  return true;
}

std::string read_text(const fs::path& path, LineEnds line_ends, Changes& changes) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail("cannot read the file " + path.string());
  std::ostringstream buffer;
  buffer << file.rdbuf();
  std::string text = std::move(buffer).str();
  const auto changed = [&](std::string& names) {
    names += (names.empty() ? "" : ", ") + path.filename().string();
  };
  if (text.starts_with("\xEF\xBB\xBF")) {
    text.erase(0, 3);
    changed(changes.marks);
  }
  if (line_ends == LineEnds::unify && unify_line_ends(text)) changed(changes.ends);
  if (text.empty()) fail("the file " + path.string() + " is empty", "", "text in UTF-8");
  if (const std::size_t nul = text.find('\0'); nul != std::string::npos)
    fail("the file " + path.string() + " is not text", "a NUL byte at " + std::to_string(nul),
         "text in UTF-8");
  try {
    for (Index at = 0; at < std::ssize(text);) next_code_point(text, at);
  } catch (const Error& error) {
    fail("the file " + path.string() + ": " + error.what());
  }
  return text;
}

// Where the last tenth of a text begins, in bytes, counted in characters or in lines.
std::size_t ninety_percent(std::string_view text, bool lines) {
  std::vector<Index> ends;  // of each character or line
  for (Index at = 0; at < std::ssize(text);) {
    const char32_t c = next_code_point(text, at);
    if (!lines || c == '\n' || at == std::ssize(text)) ends.push_back(at);
  }
  const std::size_t training = ends.size() * 9 / 10;
  return training == 0 ? 0 : static_cast<std::size_t>(ends[training - 1]);
}

Split write_split(const LearnedTokenizer& tokenizer, std::uint64_t seed, std::uint64_t first_story,
                  Index chars) {
  Split split;
  for (std::uint64_t story = first_story; split.size() < chars; ++story) {
    const Story written = write_story(seed, story);
    split.starts.push_back(split.size());
    const std::vector<std::int32_t> ids = tokenizer->encode(written.text);
    split.ids.insert(split.ids.end(), ids.begin(), ids.end());
    split.floor_nats.insert(split.floor_nats.end(), written.nats.begin(), written.nats.end());
  }
  return split;
}

}  // namespace

std::uint64_t Corpus::fingerprint() const {
  // Fowler, Noll and Vo's hash, variant 1a.
  std::uint64_t hash = 0xCBF29CE484222325;
  const auto add = [&](std::uint32_t byte) { hash = (hash ^ byte) * 0x100000001B3; };
  for (const char c : save(tokenizer)) add(static_cast<unsigned char>(c));
  for (const Split* split : {&train, &valid, &test}) {
    for (const std::int32_t id : split->ids)
      for (int shift = 0; shift < 32; shift += 8) add(static_cast<std::uint32_t>(id) >> shift & 0xFF);
    for (const std::uint8_t scored : split->scored) add(scored);
    for (int i = 0; i < 4; ++i) add(0xFF);  // no id: a token that moves to another split is a change
  }
  return hash;
}

double unigram_nats(const Split& train, const Split& text) {
  std::unordered_map<std::int32_t, double> counts;
  double all = 0, nats = 0, scored = 0;
  for (Index i = 0; i < train.size(); ++i) {
    if (!train.is_scored(i)) continue;
    ++counts[train.ids[i]];
    ++all;
  }
  for (Index i = 0; i < text.size(); ++i) {
    if (!text.is_scored(i)) continue;
    const auto found = counts.find(text.ids[i]);
    if (found == counts.end()) return std::numeric_limits<double>::infinity();
    nats += std::log(all / found->second);
    ++scored;
  }
  return nats / scored;
}

Corpus load_corpus(const std::string& path_name, const std::string& tokenizer_name,
                   const OptionValues& options, LineEnds line_ends) {
  Changes changes;
  const auto read = [&](const fs::path& file) { return read_text(file, line_ends, changes); };
  const fs::path path = fs::path(path_name).lexically_normal();
  std::string train, valid, test;
  if (fs::is_directory(path)) {
    for (const char* name : {"train.txt", "valid.txt"})
      if (!fs::exists(path / name))
        fail("the folder " + path.string() + " has no " + name, "",
             "train.txt, valid.txt and perhaps test.txt",
             fs::exists(path / "input.txt")
                 ? "for a single file give its name: " + (path / "input.txt").string()
                 : "a single file can be given by its name");
    train = read(path / "train.txt");
    valid = read(path / "valid.txt");
    if (fs::exists(path / "test.txt")) test = read(path / "test.txt");
  } else if (fs::exists(path)) {
    const bool lines = Registry<Tokenizer>::make(tokenizer_name, options)->cuts_at_lines();
    train = read(path);
    const std::size_t cut = ninety_percent(train, lines);
    valid = train.substr(cut);
    train.resize(cut);
    if (train.empty())
      fail("too little text in " + path.string(), lines ? "one line" : "one character",
           "90 % to train and 10 % to validate");
  } else {
    fail("no such file or folder: " + path.string(), "", "",
         "a text file, a folder with train.txt and valid.txt, or see data/fetch --help");
  }

  const std::string_view texts[] = {train, valid, test};
  const LearnedTokenizer tokenizer = learn_tokenizer(tokenizer_name, texts, options);
  const auto split = [&](const std::string& text) { return Split{tokenizer->encode(text), {}, {}}; };
  Split training = split(train);
  if (std::all_of(training.ids.begin(), training.ids.end(),
                  [&](std::int32_t id) { return id == training.ids.front(); }))
    fail("nothing to learn from " + path.string(), "one token again and again", "at least 2 different ones");
  const fs::path named = path.has_filename() ? path : path.parent_path();  // "wiki/" is called wiki
  return {named.stem().string(),    tokenizer,      std::move(training), split(valid), split(test),
          tokenizer->first_input(), changes.notes()};
}

Corpus builtin_corpus(std::uint64_t seed, Index train_chars, Index valid_chars) {
  if (train_chars < 1 || valid_chars < 1)
    fail("builtin corpus: number of characters",
         std::to_string(train_chars) + " to train and " + std::to_string(valid_chars) + " to validate",
         "at least 1 each");
  // The alphabet is fixed, so that every seed and size gives the same vocabulary.
  const LearnedTokenizer tokenizer =
      characters_of("\n !\",.?abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
  constexpr std::uint64_t kValidStories = std::uint64_t{1} << 40;  // far from where training stories end
  return {"stories",
          tokenizer,
          write_split(tokenizer, seed, 0, train_chars),
          write_split(tokenizer, seed, kValidStories, valid_chars),
          {},
          tokenizer->first_input()};
}

}  // namespace ef
