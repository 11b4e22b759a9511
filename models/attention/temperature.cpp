// Attention at another temperature: softmax_t(<query_i, key_t> / (temperature sqrt(D))) (as in the softmax of
// Hinton, Vinyals and Dean 2015). Above 1 the pattern is flatter, below 1 sharper.
#include "models/transformer.h"

namespace ef {
namespace {

struct TemperatureAttention : SoftmaxAttention {
  TemperatureAttention(const Builder& b, const ModelConfig& c) : SoftmaxAttention(b, c) {
    if (!(c.temperature > 0)) fail("temperature", std::to_string(c.temperature), "above 0");
    scale /= c.temperature;
  }
};

const Registered<Attention, TemperatureAttention> temperature("temperature",
                                                              "logits divided by --temperature");

}  // namespace
}  // namespace ef
