// What all programs share at the command line: who they are, how they end, what goes to a pipe, completion.
#include <nlohmann/json.hpp>

#include "engine/matmul/blas.h"
#include "engine/registry.h"
#include "models/transformer.h"
#include "tests/programs.h"
#include "train/run.h"

using namespace ef;

namespace {

const std::vector<std::string> programs = {"train", "sample", "eval", "experiment", "localize", "compare"};

bool plain(const std::string& text) { return !contains(text, "\033") && !contains(text, "\r"); }

// A sentence of the shell, and what it prints.
Outcome shell(const std::string& script) {
  const Folder folder;
  const int raw = std::system(
      ("bash '" + folder.write("script", script) + "' >" + (folder / "out") + " 2>&1 </dev/null").c_str());
  return {WIFEXITED(raw) ? WEXITSTATUS(raw) : -1, read_file(folder / "out")};
}
std::vector<std::string> sorted(std::vector<std::string> words) {
  std::sort(words.begin(), words.end());
  return words;
}
bool has_bash() { return std::system("command -v bash >/dev/null 2>&1") == 0; }

}  // namespace

TEST_CASE("every program tells its version, and how it ends", "[programs]") {
  for (const std::string& name : programs) {
    INFO(name);
    const Outcome told = run(name + " --version");
    CHECK(told.status == 0);
    CHECK(told.text.starts_with(name + " (eigenformer) " + version() + "\nsources " + sources() + "\n"));
    CHECK(contains(told.text, blas::library().text()));
    CHECK(contains(told.text, compiler() + ", " + build_kind()));
    const Outcome help = run(name + " --help");
    CHECK(help.status == 0);
    CHECK(contains(help.text, "Exit status: 0 well"));
    for (const char* part : {"--version", "--completion"}) CHECK(contains(help.text, part));
    CHECK(plain(help.text));
    CHECK(run(name + " --completion fish").status == 2);
    CHECK(contains(run(name + " --versoin").text, "did you mean --version?"));
  }
}

TEST_CASE("exit statuses say who was at fault", "[programs]") {
  const Folder folder;
  const std::string data = folder.write("text.txt", stories(20000));
  const std::string options = "--data " + data + tiny + "--runs " + folder.path.string() + " --name ";
  CHECK(run("train --steps none").status == 2);
  const Outcome overflow = run("train " + options + "nan --steps 50 --lr 1e30 --clip 0 --eval-every 1");
  INFO(overflow.text);
  CHECK(overflow.status == 3);
  CHECK(plain(overflow.text));
  // A page stays, which does not wait for more.
  const std::string page = read_file(folder / "nan/report.html");
  CHECK(!contains(page, "http-equiv=\"refresh\""));
  for (const int signal : {SIGTERM, SIGHUP}) {
    const std::string name = "signal" + std::to_string(signal);
    std::vector<std::string> arguments = words(options + name + " --steps 100000");
    arguments.insert(arguments.begin(), program("train"));
    const int status = interrupt_training(arguments, folder / (name + "/metrics.jsonl"), 150, signal);
    REQUIRE(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == signal);
    CHECK(fs::exists(folder / (name + "/checkpoint/last.safetensors")));
    CHECK(!contains(read_file(folder / (name + "/report.html")), "http-equiv=\"refresh\""));
  }
}

TEST_CASE("a page is there while a run trains, and renews itself until its end", "[programs]") {
  const Folder folder;
  const std::string data = folder.write("text.txt", stories(20000));
  std::vector<std::string> arguments = words("--data " + data + tiny + "--runs " + folder.path.string() +
                                             " --name live --steps 1000000 --eval-every 20");
  arguments.insert(arguments.begin(), program("train"));
  // Killed: nobody writes the last page.
  REQUIRE(WIFSIGNALED(interrupt_training(arguments, folder / "live/metrics.jsonl", 150, SIGKILL)));
  const std::string page = read_file(folder / "live/report.html");
  CHECK(contains(page, "<meta http-equiv=\"refresh\" content=\"20\">"));
  CHECK(contains(page, "it is still training"));
  REQUIRE(run("train --steps 60 --config " + (folder / "live/config.json") + " --name whole").status == 0);
  CHECK(!contains(read_file(folder / "whole/report.html"), "http-equiv=\"refresh\""));
}

TEST_CASE("config.json says what a run needs to be repeated", "[programs]") {
  const Folder folder;
  const std::string data = folder.write("text.txt", stories(20000));
  const std::string options =
      "train --data " + data + tiny + "--steps 60 --runs " + folder.path.string() + " --name a";
  const Outcome first = run(options);
  INFO(first.text);
  REQUIRE(first.status == 0);
  CHECK(plain(first.text));
  CHECK(contains(first.text, "FLOP/s in all, " + blas::library().text()));
  const std::string path = folder / "a/config.json";
  nlohmann::ordered_json config = nlohmann::ordered_json::parse(read_file(path));
  const Machine here = this_machine();
  CHECK(config["blas"] == here.blas);
  CHECK(config["kernel"] == here.kernel);
  CHECK(config["compiler"] == here.compiler);
  CHECK(config["build"] == here.build);
  CHECK(config["processor"] == here.processor);
  CHECK(config["workers"] == 2);

  const std::string warning = "warning: the run began on another machine";
  const Outcome again = run("train --resume " + (folder / "a") + " --steps 70");
  CHECK(again.status == 0);
  CHECK(!contains(again.text, warning));
  config["kernel"] = "Prescott";
  folder.write("a/config.json", config.dump());
  const Outcome elsewhere = run("train --resume " + (folder / "a"));
  CHECK(elsewhere.status == 0);
  CHECK(contains(elsewhere.text, warning));
  CHECK(contains(elsewhere.text, "kernel Prescott, now " + here.kernel));
  // Of an older version, which wrote nothing of this.
  for (const char* key : {"blas", "kernel", "compiler", "build", "processor"}) config.erase(key);
  folder.write("a/config.json", config.dump());
  const Outcome old = run("train --resume " + (folder / "a"));
  CHECK(old.status == 0);
  CHECK(!contains(old.text, warning));
}

TEST_CASE("bash completes options and the names of siblings", "[programs]") {
  if (!has_bash()) return;
  const Folder folder;
  // What the cursor stands behind: words as bash splits them.
  const auto completed = [&](const std::string& name, const std::string& typed) {
    const Outcome outcome =
        shell("set -e\nsource <(" + program(name) + " --completion bash)\nCOMP_WORDS=(" + name + " " + typed +
              ")\nCOMP_CWORD=$((${#COMP_WORDS[@]}-1))\n_eigenformer_" + name +
              "\nprintf '%s\\n' \"${COMPREPLY[@]}\"\ncomplete -p " + name + "\n");
    INFO(outcome.text);
    CHECK(outcome.status == 0);
    std::vector<std::string> lines;
    std::istringstream stream(outcome.text);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    REQUIRE(!lines.empty());
    CHECK(contains(lines.back(), "_eigenformer_" + name));
    lines.pop_back();
    return lines;
  };
  using Lines = std::vector<std::string>;
  Lines attentions = Registry<Attention>::names();
  std::erase(attentions, "mean");  // one of the tests
  CHECK(sorted(completed("train", "--attention ''")) == sorted(attentions));
  CHECK(sorted(completed("train", "--attention = soft")) == Lines{"softcap", "softmax", "softmax1"});
  CHECK(completed("train", "--pro") == Lines{"--profile", "--probe", "--probe-sequences", "--probe-windows"});
  CHECK(completed("train", "--preset sha") == Lines{"shakespeare"});
  CHECK(completed("train", "--tokens wo") == Lines{"words"});  // an option that a source of data declares
  CHECK(completed("train", "--seed ''") == Lines{""});
  CHECK(completed("train", "--probe attn.ent") == Lines{"attn.entropy"});
  CHECK(completed("sample", "--checkpoint b") == Lines{"best"});
  CHECK(completed("experiment", "plan.json --summ") == Lines{"--summary"});
  for (const std::string& name : programs) {
    INFO(name);
    CHECK(!completed(name, "--").empty());
    const Outcome zsh = run(name + " --completion zsh");
    CHECK(zsh.status == 0);
    CHECK(zsh.text.starts_with("#compdef " + name + "\n"));
  }
  const std::string zsh = run("train --completion zsh").text;
  CHECK(contains(zsh, "'--attention=[attention\\: softmax"));
  CHECK(contains(zsh, ":attention:(softmax"));
  CHECK(contains(run("experiment --completion zsh").text, "'*:file:_files'"));
  // The shell can read it, whatever stands in the help texts.
  if (std::system("command -v zsh >/dev/null 2>&1") == 0)
    CHECK(shell("zsh -n <(" + program("train") + " --completion zsh)").status == 0);
}
