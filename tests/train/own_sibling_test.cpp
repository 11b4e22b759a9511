// A sibling of one's own with an option: one file, as this one, and it is everywhere. (For probes and what
// they read see quantity_test.cpp.)
#include <atomic>

#include "data/tokenizer.h"
#include "models/layers.h"
#include "models/registry.h"
#include "tests/plans.h"
#include "tests/programs.h"
#include "train/config.h"
#include "train/experiment/summary.h"
#include "train/options/command_line.h"
#include "train/run.h"
#include "train/session.h"

namespace ef {
namespace {

// ---- What a user would write

const Option<double> damping("tests-damping", 2, above(0), "the stream is divided by it");

struct Damped : Norm {
  Real factor;
  Damped(const Builder&, const ModelConfig& c) : factor(Real(1 / damping(c.options))) {}
  Tensor forward(const Tensor& x) const override { return scale(x, static_cast<double>(factor)); }
};

const Registered<Norm, Damped> damped("tests-damped", "the input, divided", {damping});

// A tokenizer: every nth byte, of which it knows but those of the alphabet.
const Option<Index> stride("tests-stride", 2, at_least(1), "bytes from one token to the next");

struct Strided : Tokenizer {
  Index step;
  explicit Strided(const OptionValues& options) : step(stride(options)) {}
  void learn(std::span<const std::string_view>) override {
    std::vector<std::string> tokens;
    for (char c = ' '; c <= '~'; ++c) tokens.emplace_back(1, c);
    set_tokens(std::move(tokens));
  }
  std::vector<std::int32_t> encode(std::string_view text) const override {
    std::vector<std::int32_t> ids;
    for (Index at = 0; at < std::ssize(text); at += step)
      ids.push_back(std::max(find(text.substr(at, 1)), std::int32_t{0}));
    return ids;
  }
  std::string line_of(const std::string& token) const override { return token; }
  std::string token_of(std::string_view line) const override { return std::string(line); }
};

// ---- Where it is found

Config of_line(const std::string& line) {
  Config config;
  apply_preset(config, "story");
  const FieldList all = fields(config);
  for (const auto& [name, text] : parse_line("test", all, line)) all.set(name, text);
  check(config);
  return config;
}

}  // namespace

TEST_CASE("an option of one's own sibling: command line, help, bounds, nearest name", "[options]") {
  Config config;
  const FieldList all = fields(config);
  const Field* field = all.find("tests-damping");
  REQUIRE(field != nullptr);
  CHECK(field->group == "--norm");
  CHECK(contains(field->help, "of tests-damped: the stream is divided by it"));
  CHECK(field->get() == "2");
  CHECK(contains(all.find("norm")->help, "tests-damped"));
  CHECK(of_line("--norm tests-damped --tests-damping 3").model.options.find("tests-damping")->compare("3") ==
        0);
  check_throws([] { of_line("--norm tests-damped --tests-damping 0"); }, {"--tests-damping", "above 0"});
  check_throws([] { of_line("--tests-damping many"); }, {"--tests-damping", "'many'", "a number"});
  check_throws([] { of_line("--tests-dampin 3"); },
               {"no option --tests-dampin", "did you mean --tests-damping?"});
}

TEST_CASE("an option of one's own sibling: config.json has it where it is chosen, and gives it back",
          "[options]") {
  Config config = of_line("--final-norm tests-damped --tests-damping 3"), read;
  const std::string text = to_json(config);
  CHECK(contains(text, "\"tests-damping\": 3"));
  from_json(read, text);
  CHECK(to_json(read) == text);
  CHECK(!contains(to_json(of_line("")), "tests-damping"));
  CHECK(contains(to_json(of_line("--norm tests-damped")), "\"tests-damping\": 2"));  // defaults may change
  CHECK(contains(to_json(of_line("--tests-damping 5")), "\"tests-damping\": 5"));    // idle, but said
  CHECK(idle_reason(config, "tests-damping") == "");
  CHECK(idle_reason(of_line("--tests-damping 5"), "tests-damping") == "norm is layer");
  CHECK(to_json(without_idle(of_line("--tests-damping 5"))) == to_json(of_line("")));
}

TEST_CASE("an option of one's own sibling: a plan takes it, and finds arms that differ in nothing",
          "[options]") {
  const Folder folder;
  json plan = right_plan();
  plan["arms"] = {{"plain", "--norm tests-damped"},
                  {"rms", "--norm tests-damped --tests-damping 3"},
                  {"idle", "--tests-damping 3"},
                  {"none", ""}};
  folder.write("plan.json", plan.dump());
  const Plan read = load_plan(folder / "plan.json");
  CHECK(options_of(read.arm("rms")->config).at("tests-damping") == "3");
  CHECK(why_same(read, "rms", "plain", {}) == "");
  CHECK(why_same(read, "idle", "none", {}) == "its options are idle: --tests-damping");
  plan["arms"]["rms"] = "--tests-damping=-1";
  folder.write("plan.json", plan.dump());
  check_throws([&] { load_plan(folder / "plan.json"); }, {"arm 'rms'", "--tests-damping", "above 0"});
}

TEST_CASE("a sibling of one's own trains; its option stands in the run, an idle one is warned of",
          "[options]") {
  const Folder folder;
  const std::atomic<bool> interrupted = false;
  const std::string rest =
      " --steps 3 --layers 1 --channels 16 --heads 2 --ffn 16 --batch 2 --sample-tokens 0 "
      "--eval-every 0 --workers 1 --probe resid.rank --every 1 --runs " +
      folder.path.string();
  for (const char* line :
       {"--name own --norm tests-damped --tests-damping 4", "--name idle --tests-damping 4"}) {
    const Config config = of_line(line + rest);
    REQUIRE(run_training(config, "", interrupted).has_value());
  }
  const SavedConfig saved = load_config(open_run(folder / "own"));
  CHECK(saved.config.model.norm == "tests-damped");
  CHECK(*saved.config.model.options.find("tests-damping") == "4");
  CHECK(read_state(RunFolder{folder / "own"}.last()).finished);
  CHECK(!contains(read_file(folder / "own/log.txt"), "does nothing"));
  CHECK(contains(read_file(folder / "idle/log.txt"), "warning: --tests-damping does nothing: norm is layer"));
}

TEST_CASE("a tokenizer of one's own, whose option hangs on --tokens, and that on --data", "[options]") {
  // Known to this test alone: what holds for every tokenizer does not for this one, which loses text.
  auto& all = Registry<Tokenizer>::entries();
  const std::size_t before = all.size();
  const Registered<Tokenizer, Strided> strided("tests-strided", "every nth byte", {stride});
  const Folder folder;
  std::string text;
  for (int i = 0; i < 400; ++i) text += static_cast<char>('a' + i * i % 7);
  const std::string path = folder.write("text.txt", text);

  const std::string line = "--data " + path + " --tokens tests-strided --tests-stride 4";
  const Config config = of_line(line);
  CHECK(load_data(config).train.size() == 90);
  CHECK(data_name(config) == path + " tests-strided 4 false");
  CHECK(contains(to_json(config), "\"tokens\": \"tests-strided\",\n  \"tests-stride\": 4"));
  Config read;
  from_json(read, to_json(config));
  CHECK(to_json(read) == to_json(config));
  CHECK(idle_reason(config, "tests-stride") == "");
  CHECK(idle_reason(of_line("--tests-stride 4 --data " + path), "tests-stride") == "tokens is chars");
  CHECK(idle_reason(of_line("--tests-stride 4"), "tests-stride") == "data is builtin");
  CHECK(idle_reason(config, "max-vocabulary") == "tokens is tests-strided");
  check_throws([&] { of_line(line + " --tests-stride 0"); }, {"--tests-stride", "at least 1"});
  check_throws([&] { of_line("--tokens tests-stride"); }, {"--tokens", "did you mean tests-strided?"});
  Config any;
  const FieldList fields_of_it = fields(any);
  CHECK(fields_of_it.find("tests-stride")->group == "--tokens");
  CHECK(contains(fields_of_it.find("tokens")->help, "chars"));
  all.erase(all.begin() + static_cast<std::ptrdiff_t>(before), all.end());
}

TEST_CASE("an option whose name is taken is an error; siblings of one part may share one", "[options]") {
  const Option<double> mine("layers", 1, above(0), "layers"), shared("shared", 1, above(0), "of one"),
      too("shared", 5, at_least(4), "of the other");
  Index layers = 1;
  OptionValues values;
  const std::vector<SiblingEntry> siblings = {{"a", "", {shared}, nullptr}, {"b", "", {too}, nullptr}};
  std::string chosen = "a";
  FieldList list;
  list.add("layers", layers, "");
  const auto names = [&chosen] { return std::vector<std::string>{chosen}; };
  check_throws(
      [&] {
        list.add_options({"part", "part", {{"a", "", {mine}, nullptr}}, names, {}}, values);
      },
      {"--layers", "taken"});
  list.add_options({"part", "part", siblings, names, {}}, values);
  const Field* field = list.find("shared");
  REQUIRE(field != nullptr);
  CHECK(field->help == "of a: of one (1); of b: of the other (5)");
  CHECK(field->get() == "1");
  chosen = "b";
  CHECK(field->get() == "5");
  check_throws([&] { field->set("2"); }, {"--shared", "at least 4"});
  chosen = "c";
  CHECK(field->sibling->idle() == "part is c");
}

TEST_CASE("an option that the chosen sibling ignores is idle", "[options]") {
  const Config swiglu = of_line("--feed-forward swiglu --activation relu"), plain = of_line("");
  CHECK(idle_reason(swiglu, "activation") == "feed-forward is swiglu");
  CHECK(idle_reason(swiglu, "ffn") == "");
  CHECK(idle_reason(of_line("--activation relu"), "activation") == "");
  CHECK(to_json(without_idle(swiglu)) == to_json(of_line("--feed-forward swiglu")));
  CHECK(contains(to_json(plain), "\"feed-forward\": \"mlp\""));
  Config read;
  from_json(read, to_json(swiglu));
  CHECK(to_json(read) == to_json(swiglu));
  check_throws([] { of_line("--feed-forward swigul"); }, {"'swigul'", "did you mean swiglu?"});
  CHECK(idle_reason(of_line("--kv-heads 2"), "kv-heads") == "attention is softmax");
}

TEST_CASE("configurations and results of older versions are read", "[options]") {
  // Every option was written down then, --matmul among them, chosen or not.
  Config config;
  from_json(config, R"({"preset": "story", "matmul": "auto", "temperature": 1, "softcap": 30, "strength": 0,
                        "hold": 0, "optimiser": "adamw", "beta2": 0.99, "min-lr": 0, "tokens": "chars"})");
  CHECK(idle_reason(config, "softcap") == "attention is softmax");
  CHECK(options_of(without_idle(config)) == options_of(without_idle(of_line(""))));
  check_throws([&] { from_json(config, R"({"matmol": "auto"})"); }, {"no option matmol"});
}

}  // namespace ef
