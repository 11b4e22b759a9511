// A tape written down op by op: what is told of each, and that nothing is changed by it.
#include "engine/trace.h"

#include <numeric>

#include "engine/matmul/blas.h"
#include "engine/ops.h"
#include "models/transformer.h"
#include "tests/helpers.h"

using namespace ef;

namespace {

// A model, and one forward and backward over it.
struct Passed {
  ModelConfig config;
  Parameters parameters;
  Buffer gradients{0};
  Tape tape;
  Trace trace{blas::flops_of_this_thread};
  std::vector<std::int32_t> ids{1, 2, 3, 0, 4, 1}, targets{2, 3, 0, 4, 1, 1};
  Real loss = 0;

  explicit Passed(bool traced, const ModelConfig& c = {}) : config(c) {
    config.vocab = 5;
    config.context = 4;
    config.layers = config.heads = 2;
    config.channels = 8;
    config.ffn = 12;
    Transformer declare(Builder(parameters, nullptr), config);
    parameters.allocate();
    parameters.initialise(3);
    gradients = Buffer(parameters.flat_size());
    const Transformer model(Builder(parameters, gradients.data()), config);
    const Tape::Scope scope(tape);
    if (traced) tape.trace = &trace;
    const Tensor y = model.loss(ids, 2, targets);
    tape.backward(y);
    loss = y.data[0];
  }
};

}  // namespace

TEST_CASE("a trace changes no bit, and knows every op, its layer and what it used", "[trace]") {
  for (const std::string& attention : Registry<Attention>::names()) {
    for (const bool plain : {false, true}) {
      INFO(attention << (plain ? ", plain" : ""));
      ModelConfig config;
      config.attention = attention;
      config.plain = plain;
      const Passed traced(true, config), other(false, config);
      CHECK(traced.loss == other.loss);
      CHECK(std::equal(traced.gradients.data(), traced.gradients.data() + traced.gradients.size(),
                       other.gradients.data()));
      const std::vector<Trace::Op>& ops = traced.trace.ops();
      REQUIRE(ops.size() > 10);
      CHECK(other.trace.ops().empty());
      CHECK(ops.front().name == std::string("embedding"));
      CHECK(ops.front().layer == "tokens");
      CHECK(ops.back().layer == "unembed");
      CHECK(ops.back().shape == Shape{1});
      std::size_t held = 0, with_backward = 0;
      for (std::size_t i = 0; i < ops.size(); ++i) {
        const Trace::Op& op = ops[i];
        INFO(op.name << " of " << op.layer);
        CHECK(op.pass == 0);
        CHECK(op.forward_seconds >= 0);
        CHECK(op.backward_seconds >= 0);
        CHECK(op.bytes_moved > 0);
        CHECK(op.layer != "");
        held += op.bytes_held;
        with_backward += op.has_backward;
        for (const Trace::Input& input : op.inputs) {
          CHECK(input.made_by < static_cast<Index>(i));
          if (input.is_parameter) CHECK(contains(input.name, op.layer == "unembed" ? "tokens" : op.layer));
        }
      }
      CHECK(with_backward == traced.tape.nodes());
      CHECK(held <= traced.tape.activations().bytes_in_use());
      CHECK(held > 0);
    }
  }
}

TEST_CASE("a trace: flops, bytes and shapes of a product are those of its sizes", "[trace]") {
  Leaf x({3, 4}, 1), w({5, 4}, 2), b({5}, 3);
  Tape tape;
  Trace trace{blas::flops_of_this_thread};
  {
    const Tape::Scope scope(tape);
    tape.trace = &trace;
    const Tensor y = mean(linear(x.tensor(), w.tensor(), b.tensor()));
    tape.backward(y);
    tape.reset();
    mean(x.tensor());
  }
  REQUIRE(trace.ops().size() == 3);
  const Trace::Op& op = trace.ops()[0];
  CHECK(op.name == "linear");
  REQUIRE(op.inputs.size() == 3);
  CHECK(op.inputs[1].shape == Shape{5, 4});
  CHECK(op.shape == Shape{3, 5});
  CHECK(op.forward_flops == 2 * 3 * 4 * 5);
  CHECK(op.backward_flops == 2 * 2 * 3 * 4 * 5);
  CHECK(op.bytes_moved == (12 + 20 + 5 + 15) * sizeof(Real));
  CHECK(op.has_backward);
  CHECK(trace.ops()[1].inputs[0].made_by == 0);
  CHECK(trace.ops()[1].inputs[0].name == "linear");
  CHECK(trace.ops()[2].pass == 1);
  CHECK(trace.ops()[2].inputs[0].made_by == -1);
  trace.clear();
  CHECK(trace.ops().empty());
}

TEST_CASE("layers of parameters: what their paths share", "[trace]") {
  CHECK(common_layer({}) == "");
  CHECK(common_layer({"weight"}) == "");
  CHECK(common_layer({"blocks.0.attn.q.weight"}) == "blocks.0.attn.q");
  CHECK(common_layer({"blocks.0.mlp.up.weight", "blocks.0.mlp.up.bias", "blocks.0.mlp.down.weight"}) ==
        "blocks.0.mlp");
  CHECK(common_layer({"blocks.1.x.weight", "blocks.10.x.weight"}) == "blocks");
  CHECK(common_layer({"a.weight", "b.weight"}) == "");
}

TEST_CASE("a wrong shape, and a NaN, show the ops before with their layers", "[trace]") {
  const std::string part = "blocks.3.attn";
  Leaf x({3, 4}, 1), w({5, 4}, 2);
  Tape tape;
  const Tape::Scope scope(tape);
  CHECK(Tape::last_ops() == "");
  Tensor weight = w.tensor();
  weight.name = "blocks.3.attn.q.weight";
  weight.is_parameter = true;
  const Tensor y = linear(x.tensor(), weight, {});
  {
    const Tape::Part inside(part);
    const Tensor z = tanh(y);
    check_throws([&] { linear(z, weight, {}); }, {"linear: shape of w (blocks.3.attn.q.weight)",
                                                  "the last ops: tanh [3, 5] in blocks.3.attn, "
                                                  "linear [3, 5] (blocks.3.attn.q.weight)"});
  }
  tape.check_finite = true;
  check_throws<NumericalError>(
      [&] { log(scale(y, 0)); },
      {"infinity in op log", "the last ops: log [3, 5], scale [3, 5], tanh [3, 5] in"});
  for (int i = 0; i < 9; ++i) negate(y);
  CHECK(Tape::last_ops() == "negate [3, 5], negate [3, 5], negate [3, 5], negate [3, 5], negate [3, 5]");
  tape.reset();
  CHECK(Tape::last_ops() == "");
}
