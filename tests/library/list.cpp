// A program that is linked with libeigenformer.a: it names the attentions, builds a model of its own with one
// of them, and asks what the next token is. Its registries are full, though it names no file of
// models/attention/.
#include <cstdio>

#include "engine/parameters.h"
#include "engine/registry.h"
#include "engine/tape.h"
#include "models/transformer.h"

int main() {
  using namespace ef;
  for (const std::string& name : Registry<Attention>::names()) std::printf("%s\n", name.c_str());

  ModelConfig config;
  config.vocab = 7;
  config.context = 4;
  config.attention = "alibi";
  config.positions = "none";
  Parameters parameters;
  Transformer declare(Builder(parameters, nullptr), config);
  parameters.allocate();
  parameters.initialise(1);
  const Transformer model(Builder(parameters, nullptr), config);

  Tape tape;
  const Tape::Scope scope(tape);
  tape.recording = tape.settings.training = false;
  const std::int32_t tokens[] = {1, 2, 3, 4};
  const Tensor logits = model.forward(tokens, 1);
  std::printf("logits %s\n", logits.shape.str().c_str());
}
