// What is told of a step from inside.
#include "train/explain.h"

#include "tests/pages.h"
#include "tests/programs.h"
#include "train/text/text.h"

using namespace ef;

namespace {

Config small() {
  Config config;
  apply_preset(config, "story");
  config.model.context = 240;
  config.model.layers = 2;
  config.model.heads = 2;
  config.model.channels = 8;
  config.model.ffn = 16;
  config.batch = 4;
  config.workers = 2;
  config.steps = 12;
  config.every = 5;
  config.probe = "attn.entropy,qk.spectrum";
  return config;
}

}  // namespace

TEST_CASE("one step, op by op: every part of the model, its regulariser, the graph", "[explain]") {
  Config config = small();
  config.model.regulariser = "locater";
  config.model.options.set("strength", 1e-4);
  const Explanation e = explain_step(config);
  for (const char* part : {"4 sequences, 2 workers", "embedding", "blocks.0.attn", "linear q",
                           "causal_attention", "blocks.1.mlp", "feed_forward", "final_norm", "unembed",
                           "linear_cross_entropy", "regulariser", "[8, 8]"}) {
    INFO(part);
    CHECK(contains(e.text, part));
  }
  CHECK(e.dot.starts_with("digraph step {\n"));
  CHECK(e.dot.ends_with("}\n"));
  CHECK(contains(e.dot, "n0 -> n1;"));
  CHECK(std::count(e.dot.begin(), e.dot.end(), '{') == std::count(e.dot.begin(), e.dot.end(), '}'));
  CHECK(xml_fault(standalone_svg(e.figure)) == "");
  CHECK(contains(standalone_svg(e.figure), "causal_attention"));
  CHECK(contains(e.figure.csv, "linear_cross_entropy,[1],"));
}

TEST_CASE("a profile has what is outside of ops, and accounts for the time of steps", "[explain]") {
  const std::string text = profile_steps(small());
  for (const char* part :
       {"12 steps of 4 sequences", "blocks.attn: linear q", "blocks.mlp: feed_forward", "optimiser", "probes",
        "waiting for other workers", "gradients added up", "data: batches", "accounted for: "}) {
    INFO(part);
    CHECK(contains(text, part));
  }
}

TEST_CASE("the batch that is shown: targets are the next inputs; what is not scored is said so",
          "[explain]") {
  Config config = small();
  config.data = "copy";
  config.options.set("copy-length", 3);
  config.options.set("copy-symbols", 2);
  config.model.context = 8;
  const std::string text = show_batch(config);
  CHECK(contains(text, "4 sequences of 8 tokens"));
  CHECK(contains(text, "not scored"));
  CHECK(contains(text, ">"));
  CHECK(contains(text, "sequence 2, from token"));
  CHECK(contains(show_batch(small()), "' '"));
}

TEST_CASE("a figure of what follows from what: a row may use those above it only", "[explain]") {
  FlowFigure flow{.title = "flow", .first_label = "one", .second_label = "two"};
  CHECK(draw(flow).panels.empty());
  flow.rows = {{.label = "head <1>", .heading = true},
               {.label = "a", .detail = "[1]", .first = 1},
               {.label = "b, c", .uses = {1}, .second = 2}};
  const Figure figure = draw(flow);
  CHECK(xml_fault(standalone_svg(figure)) == "");
  CHECK(figure.csv == "row,detail,one,two,uses\na,[1],1,0,\n\"b, c\",,0,2,a\n");
  flow.rows[1].uses = {2};
  check_throws([&] { draw(flow); }, {"row 2", "above"});
  flow.rows[1].uses = {1};
  check_throws([&] { draw(flow); }, {"row 1", "above"});
}
