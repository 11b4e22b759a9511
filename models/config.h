// The dials of a model. Everything named here by a string is a sibling picked from a registry
// (engine/registry.h).
#pragma once
#include <string>

#include "engine/option.h"
#include "engine/real.h"

namespace ef {

struct ModelConfig {
  Index vocab = 0;     // V, set by the tokenizer
  Index context = 64;  // T, the most tokens that the model sees at once
  Index layers = 4;
  Index heads = 4;       // H; head_dim D = channels / heads
  Index channels = 128;  // C, the width of the residual stream
  Index ffn = 512;       // the width inside the feed-forward part
  double dropout = 0;    // of embeddings and of what attention and feed-forward add to the stream
  bool tied = true;      // the output matrix is the token table
  bool bias = true;      // biases in linear layers and layer norms
  std::string block = "pre-norm";
  std::string attention = "softmax";
  std::string feed_forward = "mlp";
  std::string norm = "layer";
  std::string final_norm = "layer";
  std::string positions = "learned";
  std::string activation = "gelu-tanh";
  std::string initialisation = "gpt2";
  bool plain = false;                // compute fused ops op by op (plain_ops)
  std::string regulariser = "none";  // a term that is added to the loss (models/regulariser.h)
  OptionValues options;              // of all these siblings: engine/option.h
};

}  // namespace ef
