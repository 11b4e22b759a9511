#include "train/write.h"

#include <cmath>
#include <cstdio>

#include "data/corpus.h"

namespace ef {

std::string write_text(const Transformer& model, Tape& tape, const Tokenizer& tokenizer, bool documents,
                       const std::string& prompt, Index tokens, const Sampling& sampling, std::uint64_t seed,
                       const std::function<void(const std::string&)>& show) {
  std::vector<std::int32_t> ids = {tokenizer.first_input()};
  const std::vector<std::int32_t> given = tokenizer.encode_prompt(prompt);
  ids.insert(ids.end(), given.begin(), given.end());

  // Decoded as a whole each time, as tokens join differently: words by spaces, lines by their ends.
  std::string text;
  const auto show_more = [&] {
    const std::string longer = tokenizer.decode(std::span(ids).subspan(1));
    if (show && longer.size() > text.size()) show(longer.substr(text.size()));
    text = longer;
  };
  show_more();
  generate(model, tape, ids, tokens, sampling, seed, documents ? ids[0] : -1,
           [&](std::int32_t) { show_more(); });
  return text;
}

std::string describe(const Evaluation& e) {
  char text[160];
  int n = std::snprintf(text, sizeof text, "loss %.4f", e.loss());
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
