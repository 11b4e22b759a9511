#include "train/write.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "data/corpus.h"

namespace ef {

Written write_text(const Transformer& model, Tape& tape, const Tokenizer& tokenizer, bool documents,
                   const Writing& writing, const std::function<void(const std::string&)>& show) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::int32_t> ids = {tokenizer.first_input()};
  const std::vector<std::int32_t> given = tokenizer.encode_prompt(writing.prompt);
  ids.insert(ids.end(), given.begin(), given.end());

  Written written;
  const auto add = [&](const std::string& piece) {
    written.text += piece;
    if (show && !piece.empty()) show(piece);
  };
  add(tokenizer.decode(given));
  const std::size_t prompt = written.text.size();
  // How a token is written depends on the one before: words are joined by spaces, lines by their ends.
  bool first = given.empty();
  const auto next = [&](std::int32_t id) {
    if (first) {
      add(tokenizer.decode({&id, 1}));
    } else {
      const std::int32_t two[] = {ids[ids.size() - 2], id};
      add(tokenizer.decode(two).substr(tokenizer.decode({two, 1}).size()));
    }
    first = false;
    if (writing.stop.empty()) return true;
    const std::size_t from =
        written.text.size() - std::min(written.text.size() - prompt, 2 * writing.stop.size() + 64);
    return written.text.find(writing.stop, from) == std::string::npos;
  };
  written.tokens = generate(model, tape, ids, writing.tokens, writing.sampling, writing.seed,
                            documents ? ids[0] : -1, next);
  written.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return written;
}

std::string describe(const Evaluation& e) {
  char text[160];
  int n = std::snprintf(text, sizeof text, "loss %.4f", e.loss());
  if (e.error > 0)
    n += std::snprintf(text + n, sizeof text - static_cast<std::size_t>(n), " +- %.4f", e.error);
  if (std::isfinite(e.floor())) {
    n += std::snprintf(text + n, sizeof text - static_cast<std::size_t>(n), "  floor %.4f  excess %.4f",
                       e.floor(), e.loss() - e.floor());
  }
  std::snprintf(text + n, sizeof text - static_cast<std::size_t>(n), "  ppl %.2f", std::exp(e.loss()));
  return text;
}

std::string describe_baseline(double nats) {
  return describe(Evaluation{nats, NAN, 1}) +
         "  (each token by its share of the training text, without a model)";
}

}  // namespace ef
