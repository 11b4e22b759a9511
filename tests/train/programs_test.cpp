// The programs, as a person uses them: run as processes, judged by what they print, leave and return.
#include <csignal>

#include "tests/programs.h"

using namespace ef;

namespace {

// Fails unless the program says no: status 2 and a line with these fragments.
void check_refused(const std::string& command, std::initializer_list<std::string> fragments) {
  const Outcome outcome = run(command);
  INFO(command << "\nprinted: " << outcome.text);
  CHECK(outcome.status == 2);
  for (const std::string& fragment : fragments) {
    INFO("expected: " << fragment);
    CHECK(contains(outcome.text, fragment));
  }
}

}  // namespace

TEST_CASE("a run leaves everything that it promises", "[programs]") {
  const Folder folder;
  const std::string data = folder.write("text.txt", stories(20000));
  const Outcome train =
      run("train --data " + data + tiny + "--steps 120 --runs " + folder.path.string() + " --name a");
  INFO(train.text);
  REQUIRE(train.status == 0);
  for (const char* file :
       {"config.json", "tokenizer.txt", "metrics.jsonl", "log.txt", "checkpoint/last.safetensors",
        "checkpoint/best.safetensors", "sample.txt", "report.html"}) {
    INFO(file);
    CHECK(fs::file_size(fs::path(folder / "a") / file) > 0);
  }
  for (const char* part : {"parameters", "memory", "matmuls in float32 at", "valid", "report"})
    CHECK(contains(train.text, part));

  const Outcome sample = run("sample --run " + (folder / "a") + " --tokens 50 --prompt 'One '");
  CHECK(sample.status == 0);
  CHECK(sample.text.starts_with("One "));
  CHECK(sample.text.size() >= 54);
  // The rate stands on stderr, beside the text.
  CHECK(contains(sample.text, " tokens/s\n"));
  const auto written = [&](const std::string& more) {
    const std::string all =
        run("sample --run " + (folder / "a") + " --tokens 50 --prompt 'One '" + more).text;
    return all.substr(0, all.rfind('\n', all.size() - 2) + 1);
  };
  const std::string text = written("");
  CHECK(text.size() >= 54);
  CHECK(text == written(""));
  CHECK(text != written(" --seed 2"));
  // Several texts are those of seeds one after the other; one ends where it is told to.
  const std::string two = written(" --count 2");
  CHECK(contains(two, text));
  CHECK(contains(two, written(" --seed 2")));
  const std::string stop = text.substr(20, 3);
  const std::string stopped = written(" --stop '" + stop + "'");
  CHECK(text.starts_with(stopped.substr(0, stopped.size() - 1)));
  CHECK(contains(stopped, stop));

  const Outcome eval = run("eval --run " + (folder / "a"));
  CHECK(eval.status == 0);
  CHECK(contains(eval.text, "without context"));
  CHECK(contains(eval.text, "baseline"));
  CHECK(contains(eval.text, "with context"));

  // The same once more from its config.json alone: the same bytes.
  REQUIRE(run("train --config " + (folder / "a/config.json") + " --name b").status == 0);
  CHECK(metrics(folder / "b") == metrics(folder / "a"));
  CHECK(weights(folder / "b") == weights(folder / "a"));
}

TEST_CASE("a killed run resumes to the same bytes", "[programs]") {
  const Folder folder;
  const std::string data = folder.write("text.txt", stories(20000));
  const std::string options =
      "--data " + data + tiny + "--steps 1500 --runs " + folder.path.string() + " --name ";
  REQUIRE(run("train " + options + "whole").status == 0);

  const auto start = [&](const std::string& name) {
    std::vector<std::string> arguments = words(options + name);
    arguments.insert(arguments.begin(), program("train"));
    return arguments;
  };
  SECTION("by SIGKILL, at any instant") {
    for (const auto& [name, lines] : {std::pair{"early", 45}, std::pair{"late", 777}}) {
      INFO(name);
      const int status =
          interrupt_training(start(name), folder / (name + std::string("/metrics.jsonl")), lines, SIGKILL);
      REQUIRE(WIFSIGNALED(status));
      const Outcome resumed = run("train --resume " + (folder / name));
      INFO(resumed.text);
      REQUIRE(resumed.status == 0);
      CHECK(metrics(folder / name) == metrics(folder / "whole"));
      CHECK(weights(folder / name) == weights(folder / "whole"));
    }
  }
  SECTION("by Ctrl-C, which ends with a checkpoint") {
    const int status = interrupt_training(start("polite"), folder / "polite/metrics.jsonl", 200, SIGINT);
    REQUIRE(WIFSIGNALED(status));  // of which a shell makes 130, and make an interrupt
    CHECK(WTERMSIG(status) == SIGINT);
    CHECK(fs::exists(folder / "polite/report.html"));
    REQUIRE(run("train --resume " + (folder / "polite")).status == 0);
    CHECK(metrics(folder / "polite") == metrics(folder / "whole"));
    CHECK(weights(folder / "polite") == weights(folder / "whole"));
  }
  SECTION("and goes on for longer, if told so, which its config.json then says") {
    REQUIRE(run("train --resume " + (folder / "whole") + " --steps 1520").status == 0);
    CHECK(contains(read_file(folder / "whole/config.json"), "\"steps\": 1520"));
    CHECK(contains(metrics(folder / "whole"), "{\"step\":1520,"));
  }
  SECTION("but not on other data, nor with other options") {
    folder.write("text.txt", stories(20000) + "More.\n");
    check_refused("train --resume " + (folder / "whole"), {"fingerprint", "changed"});
    check_refused("train --resume " + (folder / "whole") + " --lr 1", {"--lr", "--steps"});
  }
}

TEST_CASE("early stopping, and training on one batch", "[programs]") {
  const Folder folder;
  const std::string data = folder.write("text.txt", stories(3000));
  const std::string options =
      "train --data " + data + tiny + "--dropout 0 --eval-every 50 --runs " + folder.path.string();
  const Outcome stopped = run(options + " --steps 5000 --patience 2 --lr 0.05 --schedule constant --name a");
  CHECK(stopped.status == 0);
  CHECK(contains(stopped.text, "no new best in 2 validations"));
  // Killed between its last checkpoint and its report, it has no more patience when it goes on.
  const std::string until_then = metrics(folder / "a");
  fs::remove(folder / "a/report.html");
  REQUIRE(run("train --resume " + (folder / "a")).status == 0);
  CHECK(metrics(folder / "a") == until_then);
  CHECK(fs::exists(folder / "a/report.html"));

  REQUIRE(run(options + " --overfit-one-batch --steps 400 --batch 2 --name b").status == 0);
  const std::string lines = metrics(folder / "b");
  const std::size_t last = lines.rfind("\"split\":\"train\",\"loss\":");
  REQUIRE(last != std::string::npos);
  CHECK(std::atof(lines.c_str() + last + 23) < 0.05);
}

TEST_CASE("bad input is refused in plain words, with status 2", "[programs]") {
  const Folder folder;
  const std::string runs = " --steps 2 --runs " + (folder / "runs") + " ";
  const std::string good = folder.write("good.txt", stories(2000));
  const std::string train = "train" + tiny + runs + "--data ";
  check_refused(train + (folder / "nothing.txt"), {"no such file", "nothing.txt"});
  check_refused(train + folder.write("empty.txt", ""), {"empty.txt", "empty"});
  check_refused(train + folder.write("binary.txt", std::string("abc\0def", 7)), {"not text", "NUL"});
  check_refused(train + folder.write("latin1.txt", "caf\xE9 is not UTF-8\n"), {"latin1.txt", "UTF-8"});
  check_refused(train + folder.write("short.txt", "too short"), {"window"});
  check_refused(train + folder.write("one.txt", std::string(500, 'a')), {"one token again and again"});
  check_refused(train + good + " --steps 0", {"--steps", "got 0", "at least 1"});
  check_refused(train + good + " --lr=-1", {"--lr", "-1"});
  check_refused(train + good + " --lr nan", {"--lr"});
  check_refused(train + good + " --tokens words --max-vocabulary 4", {"--max-vocabulary", "at least 5"});
  check_refused(train + good + " --epsilon 0", {"epsilon", "above 0"});
  check_refused(train + good + " --beta2 0.99999999", {"beta2", "below 1"});
  check_refused(train + good + " --clip inf", {"--clip", "'inf'"});
  check_refused(train + good + " --tokens word", {"--tokens", "'word'", "did you mean words?"});
  check_refused("train --data copy --copy-symbols 1" + runs, {"--copy-symbols", "2 <= value <= 26"});
  // Known only when there are text and model: no folder stays to be in the way of the next try.
  check_refused(train + good + " --name late --context 5000", {"window"});
  check_refused(train + good + " --name late --regulariser l2-qk --strength 1 --reg-layers 9", {"layers"});
  CHECK(!fs::exists(folder / "runs/late"));
  check_refused(train + good + " --regulariser locater", {"would do nothing", "strength and hold are 0"});
  check_refused(train + good + " --regulariser locater --mean target --target 16", {"would do nothing"});
  check_refused(train + good + " --regulariser locater --strength=-1", {"--strength", "-1", "at least 0"});
  check_refused(train + good + " --softcap 0", {"--softcap", "above 0"});
  check_refused(train + good + " --layers two", {"--layers", "'two'", "whole number"});
  check_refused(train + good + " --heads 3", {"channels", "3 heads"});
  check_refused(train + good + " --runs " + good, {good});  // a file where a folder should be
  check_refused(train + good + " --lyaers 2", {"no option --lyaers", "did you mean --layers?"});
  check_refused(train + good + " --norm layre", {"'layre'", "did you mean layer?"});
  check_refused(train + good + " --preset papper", {"no preset called papper", "did you mean paper?"});
  check_refused(train + good + " --tied false", {"'false'", "--flag=false"});
  check_refused(train + good + " --config " + folder.write("c.json", "{\"layerz\": 3}"),
                {"layerz", "did you mean layers?"});
  check_refused(train + good + " --config " + folder.write("d.json", "not json"), {"JSON"});
  check_refused("train --resume " + (folder / "nowhere"), {"no run at"});
  check_refused("sample", {"--run"});
  check_refused("eval --run " + folder.path.string(), {"config.json"});

  const Outcome idle = run(train + good + " --name a --temperature 2 --attention softcap --softcap 9");
  REQUIRE(idle.status == 0);
  CHECK(contains(idle.text, "warning: --temperature does nothing: attention is softcap"));
  CHECK(!contains(idle.text, "warning: --softcap"));
  CHECK(contains(run("train --steps 2 --tokens words" + runs).text,
                 "warning: --tokens does nothing: data is builtin"));
  CHECK(contains(run(train + good + " --name c --feed-forward swiglu --activation relu").text,
                 "warning: --activation does nothing: feed-forward is swiglu"));
  CHECK(contains(run(train + good + " --name l --attention linear --regulariser l2-qk --strength 1").text,
                 "warning: --regulariser l2-qk does nothing: no query-key product in attention linear"));
  check_refused(train + good + " --name d --attention grouped-query --kv-heads 3",
                {"--kv-heads", "3", "a divisor of the 2 heads"});
  CHECK_FALSE(fs::exists(folder / "runs/d"));
  check_refused(train + good + " --name a", {"exists already", "--resume"});
  check_refused("sample --run " + (folder / "runs/a") + " --temperature=-1", {"temperature"});
  check_refused("sample --run " + (folder / "runs/a") + " --prompt '\xC3\xA9'", {"\xC3\xA9"});
  REQUIRE(run("train" + tiny + runs + "--context 240 --name b").status == 0);
  CHECK(run("eval --run " + (folder / "runs/b")).status == 0);
  check_refused("eval --context 10 --run " + (folder / "runs/b"), {"--context", "stories"});
  check_refused("eval --split test --run " + (folder / "runs/a"), {"--split test"});
  fs::resize_file(folder / "runs/a/checkpoint/best.safetensors", 1000);
  check_refused("sample --run " + (folder / "runs/a"), {"best.safetensors"});
}

TEST_CASE("help lists every option with its default", "[programs]") {
  const Outcome help = run("train --help");
  CHECK(help.status == 0);
  for (const char* part :
       {"--preset", "--layers", "--lr", "default: 0.0025", "--workers", "story:", "post-norm"}) {
    INFO(part);
    CHECK(contains(help.text, part));
  }
}
