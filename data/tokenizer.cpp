#include "data/tokenizer.h"

#include "engine/error.h"

namespace ef {
namespace {

constexpr std::string_view format_name = "eigenformer tokenizer 1 ";

}  // namespace

std::string Tokenizer::decode(std::span<const std::int32_t> ids) const {
  std::string text;
  for (const std::int32_t id : ids) text += token(id);
  return text;
}

const std::string& Tokenizer::token(std::int32_t id) const {
  if (id < 0 || id >= vocab_size())
    fail("token id out of range", std::to_string(id), "0 to " + std::to_string(vocab_size() - 1),
         "is the text from another tokenizer?");
  return tokens_[id];
}

std::int32_t Tokenizer::find(std::string_view token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? -1 : found->second;
}

void Tokenizer::set_tokens(std::vector<std::string> tokens) {
  tokens_ = std::move(tokens);
  ids_.clear();
  for (const std::string& token : tokens_) {
    const auto id = static_cast<std::int32_t>(ids_.size());
    if (!ids_.emplace(token, id).second) fail("tokenizer: the token '" + token + "' occurs twice");
  }
}

LearnedTokenizer learn_tokenizer(const std::string& name, std::span<const std::string_view> texts,
                                 const OptionValues& options) {
  auto tokenizer = Registry<Tokenizer>::make(name, options);
  tokenizer->learn(texts);
  return {name, std::move(tokenizer)};
}

LearnedTokenizer characters_of(std::string_view text) { return learn_tokenizer("chars", {&text, 1}); }

std::string save(const LearnedTokenizer& tokenizer) {
  const Index size = tokenizer->vocab_size();
  std::string text = std::string(format_name) + tokenizer.name + " " + std::to_string(size) + "\n";
  for (std::int32_t id = 0; id < size; ++id) text += tokenizer->line_of(tokenizer->token(id)) + "\n";
  return text;
}

LearnedTokenizer load_tokenizer(std::string_view text) {
  std::vector<std::string_view> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    if (end == std::string_view::npos) fail("tokenizer: the last line is cut off");
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  const std::string header(lines.empty() ? "" : lines[0]);
  const std::size_t space = header.rfind(' ');
  if (!header.starts_with(format_name) || space < format_name.size())
    fail("tokenizer: wrong first line", in_quotes(header), in_quotes(std::string(format_name) + "NAME V"));
  if (header.substr(space + 1) != std::to_string(lines.size() - 1))
    fail("tokenizer: wrong number of tokens", std::to_string(lines.size() - 1), header.substr(space + 1),
         "is the file cut off?");

  const std::string name = header.substr(format_name.size(), space - format_name.size());
  auto tokenizer = Registry<Tokenizer>::make(name, OptionValues());
  std::vector<std::string> tokens;
  for (std::size_t line = 1; line < lines.size(); ++line) {
    try {
      tokens.push_back(tokenizer->token_of(lines[line]));
    } catch (const Error& error) {
      fail("tokenizer, line " + std::to_string(line + 1) + ": " + error.what());
    }
  }
  tokenizer->set_tokens(std::move(tokens));
  tokenizer->check_tokens();
  return {name, std::move(tokenizer)};
}

}  // namespace ef
