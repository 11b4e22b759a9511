// Attention at another temperature: softmax_t(<query_i, key_t> / (temperature sqrt(D))) (as in the softmax of
// Hinton, Vinyals and Dean 2015). Above 1 the pattern is flatter, below 1 sharper.
#include "models/transformer.h"

namespace ef {
namespace {

const Option<double> option("temperature", 1, above(0), "logits are divided by it");

struct TemperatureAttention : SoftmaxAttention {
  TemperatureAttention(const Builder& b, const ModelConfig& c) : SoftmaxAttention(b, c) {
    scale /= option(c.options);
  }
};

const Registered<Attention, TemperatureAttention> temperature("temperature",
                                                              "logits divided by --temperature", {option});

}  // namespace
}  // namespace ef
