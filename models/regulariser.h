// Regularisers: terms over the weights that are added to the loss.
#pragma once
#include <string>
#include <vector>

#include "models/config.h"
#include "models/registry.h"
#include "models/transformer.h"

namespace ef {

// Siblings: none, and those of models/regularisers/.
struct Regulariser {
  virtual ~Regulariser() = default;
  static constexpr const char* kind = "regulariser";
  using Factory = ModelFactory<Regulariser>;

  // Called once before each update, the one that follows `done` others, on one thread: state moves here only.
  // Throws NumericalError where the term has run away and cannot be minimised any more.
  virtual void prepare(const Transformer&, Index /*done*/) {}

  // The term, [1], on the current tape, whose backward adds to the gradients of the model's weights; an empty
  // Tensor where there is nothing to add.
  virtual Tensor loss(const Transformer& model, Index done) const = 0;

  // What a person should know, each said once. Whoever shows them clears the list.
  std::vector<std::string> warnings;
};

// A regulariser of query-key matrices may choose the heads that it works on, and grow over the first updates.
// Its siblings take these three options by handing options() to their registration:
//
//   const Registered<Regulariser, Mine> mine("mine", "what it does", OverHeads::options({strength}));
struct OverHeads : Regulariser {
  // --reg-layers, --reg-heads, --reg-warmup, and before them the sibling's own.
  static std::vector<Declaration> options(std::vector<Declaration> own);

  // Error for layers or heads that the model does not have.
  explicit OverHeads(const ModelConfig& config);

  // The products of the heads that are chosen.
  std::vector<QKProduct> chosen(const Transformer& model) const;
  // The share of its full size that the term has in the update that follows `done`: 1 after the warm-up.
  Real growth(Index done) const;

 private:
  std::vector<bool> layers_, heads_;
  Index warmup_;
};

// Which of a model's layers or heads: "all", or numbers with commas between them. Error for anything else, or
// a number that is not below `count`.
std::vector<bool> selection(const char* what, const std::string& text, Index count);

}  // namespace ef
