// Regularisers: terms over the weights that are added to the loss.
#pragma once
#include <string>
#include <vector>

#include "models/config.h"
#include "models/transformer.h"

namespace ef {

// Siblings: none, locater, l2-qk (models/regulariser.cpp).
struct Regulariser {
  virtual ~Regulariser() = default;
  static constexpr const char* kind = "regulariser";

  // Called once before each update, the one that follows `done` others, on one thread: state moves here only.
  // Throws NumericalError where the term has run away and cannot be minimised any more.
  virtual void prepare(const Transformer&, Index /*done*/) {}

  // The term, [1], on the current tape, whose backward adds to the gradients of the model's weights; an empty
  // Tensor where there is nothing to add.
  virtual Tensor loss(const Transformer& model, Index done) const = 0;

  // What a person should know, each said once. Whoever shows them clears the list.
  std::vector<std::string> warnings;
};

// Which of a model's layers or heads: "all", or numbers with commas between them. Error for anything else, or
// a number that is not below `count`.
std::vector<bool> selection(const char* what, const std::string& text, Index count);

}  // namespace ef
