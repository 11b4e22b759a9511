// The numbers that fairseq computes, reproduced: see tests/golden/README.md. Runs in float32 and in double.
#include <map>

#include "engine/matmul/blas.h"
#include "engine/matmul/tiles.h"
#include "models/transformer.h"
#include "tests/helpers.h"
#include "train/config.h"
#include "train/files/safetensors.h"

using namespace ef;

namespace {

constexpr double exact_tolerance = sizeof(Real) == sizeof(double) ? 1e-6 : 1e-4;

// fairseq's name of a parameter of ours.
std::string fairseq_name(std::string path) {
  const auto replace = [&](const std::string& from, const std::string& to) {
    const std::size_t at = path.find(from);
    if (at != std::string::npos) path.replace(at, from.size(), to);
  };
  replace("tokens.weight", "embed_tokens.weight");
  replace("unembed.weight", "output_projection.weight");
  replace("blocks.", "layers.");
  replace("attn_norm", "self_attn_layer_norm");
  replace("mlp_norm", "final_layer_norm");
  replace("mlp.up", "fc1");
  replace("mlp.down", "fc2");
  for (const char* part : {"q", "k", "v", "out"}) {
    replace(std::string("attn.") + part + ".", std::string("self_attn.") + part + "_proj.");
  }
  return "decoder." + path;
}

struct Golden {
  SafetensorsFile file;
  ModelConfig config;
  Parameters parameters;
  Buffer gradients;

  explicit Golden(const std::string& name) : file("tests/golden/" + name) {
    const std::vector<std::int64_t> meta = file.integers("meta");
    Config preset;
    apply_preset(preset, "paper");
    config = preset.model;
    config.vocab = meta[0];
    config.channels = config.ffn = meta[1];
    config.layers = meta[2];
    config.heads = meta[3];
    config.context = meta[5];
    config.dropout = 0;
    config.tied = !file.has("param:decoder.output_projection.weight");
    Transformer declare(Builder(parameters, nullptr), config);
    parameters.allocate();
    gradients = Buffer(parameters.flat_size());
    for (const Parameter& p : parameters.list()) {
      file.read("param:" + fairseq_name(p.path),
                {parameters.values() + p.offset, static_cast<std::size_t>(p.shape.size())});
    }
  }

  std::vector<Real> expected(const std::string& name, Index size) const {
    std::vector<Real> values(size);
    file.read(name, values);
    return values;
  }
  std::vector<std::int32_t> ids(const std::string& name) const {
    std::vector<std::int32_t> ids;
    for (std::int64_t id : file.integers(name)) ids.push_back(static_cast<std::int32_t>(id));
    return ids;
  }
};

double largest_of(const std::vector<Real>& values) {
  double top = 0;
  for (Real v : values) top = std::max(top, std::fabs(static_cast<double>(v)));
  return top;
}

void reproduce(const std::string& name, double tolerance = exact_tolerance) {
  INFO(name);
  Golden golden(name);
  const Transformer model(Builder(golden.parameters, golden.gradients.data()), golden.config);
  const std::vector<std::int32_t> x = golden.ids("x"), y = golden.ids("y");

  Tape tape;
  const Tape::Scope scope(tape);
  const Index sequences = static_cast<Index>(x.size()) / golden.config.context;
  const Tensor logits = model.forward(x, sequences);
  const Tensor loss = cross_entropy(logits, y);
  tape.backward(loss);

  const std::vector<Real> expected_logits = golden.expected("logits", logits.size());
  CHECK(distance(values_of(logits), expected_logits) <= tolerance * largest_of(expected_logits));
  const double expected_loss = static_cast<double>(golden.expected("loss_sum", 1)[0]);
  CHECK(static_cast<double>(loss.data[0]) == Approx(expected_loss).epsilon(tolerance));

  double largest_gradient = 0;
  for (const Parameter& p : golden.parameters.list()) {
    largest_gradient = std::max(largest_gradient,
                                largest_of(golden.expected("grad:" + fairseq_name(p.path), p.shape.size())));
  }
  for (const Parameter& p : golden.parameters.list()) {
    INFO(p.path);
    const std::vector<Real> expected = golden.expected("grad:" + fairseq_name(p.path), p.shape.size());
    const std::span<const Real> got(golden.gradients.data() + p.offset, expected.size());
    // The gradient of a key's bias is zero in exact arithmetic (softmax ignores a shift): only rounding is
    // left, which is measured against the other gradients.
    const double scale = p.path.ends_with("k.bias") ? largest_gradient : largest_of(expected);
    CHECK(distance(got, expected) <= tolerance * scale);
  }
}

}  // namespace

TEST_CASE("logits, loss and all gradients are those of fairseq: tied", "[golden]") {
  reproduce("fairseq_L1H1.safetensors");
}
TEST_CASE("logits, loss and all gradients are those of fairseq: untied", "[golden]") {
  reproduce("fairseq_L1H1_untied.safetensors");
}
TEST_CASE("logits, loss and all gradients are those of fairseq: two layers, two heads", "[golden]") {
  reproduce("fairseq_L2H2.safetensors");
}

TEST_CASE("logits, loss and all gradients are those of fairseq: matmuls on tiles", "[golden]") {
  if (sizeof(Real) > sizeof(float) || !tiles::unavailable().empty()) {
    WARN("skipped: " << (tiles::unavailable().empty() ? "tiles are for float32" : tiles::unavailable()));
    return;
  }
  // split3 at the tolerance of float32; the others' products are off by 2^-15 and 2^-7 at most.
  for (const auto& [precision, tolerance] : {std::pair{"split3", 1e-4}, {"split2", 1e-3}, {"bf16", 0.2}}) {
    INFO(precision);
    blas::use_precision(precision);
    reproduce("fairseq_L1H1.safetensors", tolerance);
    reproduce("fairseq_L2H2.safetensors", tolerance);
    blas::use_precision("float32");
  }
}

TEST_CASE("the paper's preset has as many parameters as fairseq's model", "[golden]") {
  for (const auto& [preset, expected] :
       std::map<std::string, Index>{{"paper", 4'359'424}, {"paper-untied", 8'619'264}}) {
    Config config;
    apply_preset(config, preset);
    config.model.vocab = 33'280;
    Parameters parameters;
    Transformer declare(Builder(parameters, nullptr), config.model);
    CHECK(parameters.count() == expected);
  }
}
