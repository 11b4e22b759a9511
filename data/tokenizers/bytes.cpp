// One token for each byte, 256 in all: any text in any script, and nothing to learn. A letter outside of
// ASCII is two to four tokens, so losses are in nats a byte.
#include <charconv>
#include <cstdio>

#include "data/tokenizer.h"

namespace ef {
namespace {

struct Bytes : Tokenizer {
  explicit Bytes(const OptionValues&) {}

  void learn(std::span<const std::string_view>) override {
    std::vector<std::string> tokens;
    for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
    set_tokens(std::move(tokens));
  }

  std::vector<std::int32_t> encode(std::string_view text) const override {
    std::vector<std::int32_t> ids;
    for (const char byte : text) ids.push_back(static_cast<unsigned char>(byte));
    return ids;
  }

  // "0A"
  std::string line_of(const std::string& token) const override {
    char text[3];
    std::snprintf(text, sizeof text, "%02X", static_cast<unsigned>(static_cast<unsigned char>(token[0])));
    return text;
  }
  std::string token_of(std::string_view line) const override {
    std::uint8_t byte = 0;
    const auto [stop, error] = std::from_chars(line.data(), line.data() + line.size(), byte, 16);
    const std::string token(1, static_cast<char>(byte));
    if (error != std::errc() || line_of(token) != line) fail("a token", in_quotes(line), "a byte such as 0A");
    return token;
  }
  void check_tokens() const override {
    for (std::int32_t id = 0; id < 256; ++id)
      if (find(std::string(1, static_cast<char>(id))) != id)
        fail("tokenizer of bytes", "other tokens", "the 256 bytes, in their order");
  }
};

const Registered<Tokenizer, Bytes> bytes("bytes", "each byte");

}  // namespace
}  // namespace ef
