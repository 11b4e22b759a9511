// The dials of a model. Everything named here by a string is a sibling picked from a registry
// (models/registry.h).
#pragma once
#include <string>

#include "engine/real.h"

namespace ef {

// A term over the query-key matrices that is added to the loss (models/regulariser.h).
struct RegulariserConfig {
  std::string name = "none";
  double strength = 0;              // of the scale
  double hold = 0;                  // of (tr W - c)^2
  std::string scale = "frobenius";  // frobenius, logit-variance, trace, variance
  std::string mean = "running";     // c: the running mean of tr W, its initial value, or the target
  double target = 0;                // c where mean is target
  Index target_warmup = 0;          // updates over which c goes there from tr W at the start, linearly
  std::string layers = "all";       // or numbers: 0,2
  std::string heads = "all";
  Index warmup = 0;  // updates over which strength and hold grow linearly from 0
};

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
  std::string norm = "layer";
  std::string final_norm = "layer";
  std::string positions = "learned";
  std::string activation = "gelu-tanh";
  std::string initialisation = "gpt2";
  bool plain = false;            // compute fused ops op by op (plain_ops)
  double temperature = 1;        // attention temperature: logits are divided by it
  double softcap = 30;           // attention softcap: logits stay within +- softcap
  double start_trace = 16;       // attention trace-start: tr W of each head at the start
  double entropy_reward = 0.01;  // attention entropy: strength of the reward for attention entropy
  RegulariserConfig regulariser;
};

}  // namespace ef
