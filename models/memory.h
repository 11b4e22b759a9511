// What a model that writes remembers of the tokens before, so that each is computed once: keys and values of
// every layer (the "key-value cache").
//
//   Memory memory;
//   const Memory::Scope scope(&memory);  // from now on forwards on this thread follow what it knows
//   model.forward(prompt, 1);           // all of these at once
//   model.forward({&next, 1}, 1);       // then one by one: [1, 1, V], equal to the last row of a full
//   forward
//
// Nothing can be trained, and no probe listens, within it.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "engine/tensor.h"

namespace ef {

// Of one layer, over one sequence.
class Past {
 public:
  Index tokens() const { return tokens_; }
  // Those of n tokens more: [1, n, C] each.
  void add(const Tensor& keys, const Tensor& values);
  // All of them, [1, T, C], until the next are added.
  Tensor keys() const;
  Tensor values() const;

 private:
  Index tokens_ = 0, key_channels_ = 0, value_channels_ = 0;
  std::vector<Real> keys_, values_;
};

class Memory {
 public:
  class Scope {
   public:
    // nullptr: without one, whatever stands around.
    explicit Scope(Memory* memory) : before_(current_) { current_ = memory; }
    ~Scope() { current_ = before_; }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Memory* before_;
  };
  static Memory* current() { return current_; }  // nullptr: forwards begin at the beginning

  Index tokens() const { return tokens_; }  // how many it knows
  void passed(Index count) { tokens_ += count; }
  Past& of(const std::string& block) { return pasts_[block]; }
  void forget() {
    pasts_.clear();
    tokens_ = 0;
  }

 private:
  static thread_local Memory* current_;
  std::map<std::string, Past> pasts_;
  Index tokens_ = 0;
};

}  // namespace ef
