// Parallel parts (Wang and Komatsuzaki 2021, GPT-J): attention and feed-forward read the same normalised copy
// of the stream, and both add to it: x + attention(N(x)) + feed_forward(N(x)). So the feed-forward part does
// not see what attention brought in this layer, and there is one norm.
#include "models/transformer.h"

namespace ef {
namespace {

struct ParallelBlock : Block {
  std::unique_ptr<Norm> norm;

  ParallelBlock(const Builder& b, const ModelConfig& c)
      : Block(b, c), norm(Registry<Norm>::make(c.norm, b / "norm", c)) {}

  Tensor forward(const Tensor& resid_pre) const override {
    const Tensor read = norm->forward(resid_pre);
    // The stream half way is there for probes; the feed-forward part does not read it.
    const Tensor resid_mid = see_mid(add(resid_pre, dropout(attend(read), p)));
    return see_post(add(resid_mid, dropout(think(read), p)));
  }
};

const Registered<Block, ParallelBlock> parallel("parallel", "both parts read the same normed stream (GPT-J)");

}  // namespace
}  // namespace ef
