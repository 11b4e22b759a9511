#include "models/regulariser.h"

#include <charconv>

#include "engine/error.h"

namespace ef {
namespace {

const Option<std::string> layers("reg-layers", "all", {}, "which layers: all, or numbers like 0,2");
const Option<std::string> heads("reg-heads", "all", {}, "which heads: all, or numbers like 0,2");
const Option<Index> warmup("reg-warmup", 0, at_least(0), "updates over which the term grows from 0");

struct None : Regulariser {
  None(const Builder&, const ModelConfig&) {}
  Tensor loss(const Transformer&, Index) const override { return {}; }
};
const Registered<Regulariser, None> none("none", "nothing is added to the loss");

}  // namespace

std::vector<bool> selection(const char* what, const std::string& text, Index count) {
  std::vector<bool> chosen(count, text == "all");
  for (std::size_t begin = 0; text != "all" && begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    Index number = -1;
    const auto [stop, error] = std::from_chars(text.data() + begin, text.data() + end, number);
    if (error != std::errc() || stop != text.data() + end || number < 0 || number >= count) {
      fail(std::string("regulariser: ") + what, in_quotes(text),
           "all, or numbers from 0 to " + std::to_string(count - 1) + " with commas between them");
    }
    chosen[number] = true;
    begin = end + 1;
  }
  return chosen;
}

std::vector<Declaration> OverHeads::options(std::vector<Declaration> own) {
  own.insert(own.end(), {layers, heads, warmup});
  return own;
}

OverHeads::OverHeads(const ModelConfig& c)
    : layers_(selection("layers", layers(c.options), c.layers)),
      heads_(selection("heads", heads(c.options), c.heads)),
      warmup_(warmup(c.options)) {}

std::vector<QKProduct> OverHeads::chosen(const Transformer& model) const {
  std::vector<QKProduct> products = model.qk();
  std::erase_if(products, [&](const QKProduct& p) { return !layers_[p.layer] || !heads_[p.head]; });
  return products;
}

Real OverHeads::growth(Index done) const {
  if (done >= warmup_) return 1;
  return Real(static_cast<double>(done + 1) / static_cast<double>(warmup_));
}

}  // namespace ef
