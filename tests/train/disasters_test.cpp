// A run loses nothing, whatever ends it; and what is read cannot hurt it. Each row of the table of disasters
// in train/README.md names one of these tests.
#include <csignal>
#include <limits>

#include "models/transformer.h"
#include "tests/programs.h"
#include "train/files/safetensors.h"
#include "train/run.h"

using namespace ef;

namespace {

// Fails unless the program says no: this status and a line with these fragments.
void check_refused(const std::string& command, std::initializer_list<std::string> fragments, int status = 2) {
  const Outcome outcome = run(command);
  INFO(command << "\nprinted: " << outcome.text);
  CHECK(outcome.status == status);
  for (const std::string& fragment : fragments) {
    INFO("expected: " << fragment);
    CHECK(contains(outcome.text, fragment));
  }
}

// A finished run of a tiny model, and what changes its checkpoint.
struct Trained {
  Folder folder;
  std::string run, last, best;

  explicit Trained(const std::string& options = "--steps 60 ")
      : run(folder / "a"),
        last(run + "/checkpoint/last.safetensors"),
        best(run + "/checkpoint/best.safetensors") {
    const std::string data = folder.write("text.txt", stories(5000));
    const Outcome outcome =
        ef::run("train --data " + data + tiny + options + "--runs " + folder.path.string() + " --name a");
    INFO(outcome.text);
    REQUIRE(outcome.status == 0);
  }

  // Writes a checkpoint again as an older version did, without a checksum: with other metadata, or another
  // first number of an array.
  void rewrite(const std::string& path, const std::map<std::string, std::string>& changes,
               const std::string& array = "", Real number = 0) const {
    std::map<std::string, std::string> metadata;
    std::vector<std::vector<Real>> numbers;
    std::vector<ArrayView> arrays;
    {
      const SafetensorsFile file(path);
      metadata = file.metadata();
      for (const std::string& name : file.names()) {
        Index size = 1;
        for (const Index n : file.shape(name)) size *= n;
        numbers.emplace_back(static_cast<std::size_t>(size));
        file.read(name, numbers.back());
        if (name == array) numbers.back().front() = number;
        arrays.push_back({name, file.shape(name), nullptr});
      }
    }
    for (std::size_t i = 0; i < arrays.size(); ++i) arrays[i].data = numbers[i].data();
    metadata.erase("checksum");
    for (const auto& [key, text] : changes) metadata[key] = text;
    write_safetensors(path, arrays, metadata);
  }
};

void flip(const std::string& path, std::size_t byte, int bit) {
  std::string bytes = read_file(path);
  bytes[byte] = static_cast<char>(bytes[byte] ^ (1 << bit));
  std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace

TEST_CASE("a flipped bit in a checkpoint is told, by the name of its file", "[disasters]") {
  const Trained trained;
  const std::string bytes = read_file(trained.last);
  CHECK(SafetensorsFile(trained.last).verify());
  // Of every byte one bit, and of the header all of them.
  for (std::size_t byte = 0; byte < bytes.size(); byte += byte < 6000 ? 7 : 131) {
    std::string changed = bytes;
    changed[byte] = static_cast<char>(changed[byte] ^ (1 << byte % 8));
    std::ofstream(trained.last, std::ios::binary) << changed;
    INFO("byte " << byte);
    check_throws([&] { read_state(trained.last); }, {"last.safetensors"});
  }
  std::ofstream(trained.last, std::ios::binary) << bytes;
  flip(trained.last, bytes.size() - 5, 3);
  check_refused("train --resume " + trained.run + " --steps 70", {"last.safetensors", "checksum", "damaged"});
  flip(trained.best, bytes.size() / 2, 6);
  check_refused("sample --run " + trained.run, {"best.safetensors", "checksum"});
  check_refused("eval --run " + trained.run, {"best.safetensors", "checksum"});
  // Not one of the key that says that there is a checksum, either.
  std::ofstream(trained.last, std::ios::binary) << bytes;
  flip(trained.last, bytes.find("\"checksum\"") + 3, 0);
  check_throws([&] { read_state(trained.last); }, {"last.safetensors", "metadata", "damaged"});
}

TEST_CASE("checkpoints of older versions stay readable; what they cannot say is refused in words",
          "[disasters]") {
  const Trained trained;
  trained.rewrite(trained.last, {});
  CHECK_FALSE(SafetensorsFile(trained.last).verify());
  CHECK(read_state(trained.last).done == 60);
  CHECK(run("train --resume " + trained.run + " --steps 61").status == 0);
  trained.rewrite(trained.best, {});
  CHECK(run("sample --tokens 5 --run " + trained.run).status == 0);
  for (const auto& [key, text] : std::map<std::string, std::string>{
           {"done", "9000000000000000000"}, {"best", "nan"}, {"validated", "62"}, {"since_best", "-1"}}) {
    const std::string before = read_file(trained.last);
    trained.rewrite(trained.last, {{key, text}});
    INFO(key);
    check_throws([&] { read_state(trained.last); }, {"last.safetensors", key, text});
    std::ofstream(trained.last, std::ios::binary) << before;
  }
  trained.rewrite(trained.last, {{"done", "-7"}});
  check_refused("train --resume " + trained.run, {"last.safetensors", "done", "-7"});
  trained.rewrite(trained.best, {{"format", "eigenformer checkpoint 2"}});
  check_refused("sample --run " + trained.run, {"best.safetensors", "checkpoint 2", "newer version"});
}

TEST_CASE("weights that are not numbers are named before anything is computed with them", "[disasters]") {
  const Trained trained;
  trained.rewrite(trained.best, {}, "blocks.0.attn.q.weight", std::numeric_limits<Real>::quiet_NaN());
  check_refused("sample --run " + trained.run, {"best.safetensors", "NaN in blocks.0.attn.q.weight"}, 3);
  check_refused("eval --run " + trained.run, {"best.safetensors", "NaN in blocks.0.attn.q.weight"}, 3);
  trained.rewrite(trained.last, {}, "tokens.weight", std::numeric_limits<Real>::infinity());
  check_refused("train --resume " + trained.run + " --steps 70", {"infinity in tokens.weight"}, 3);
}

namespace {

// Starts `train` with these options, as a shell would split them.
std::vector<std::string> training(const std::string& options) {
  std::vector<std::string> arguments = words(options);
  arguments.insert(arguments.begin(), program("train"));
  return arguments;
}

// A folder with a text and options to train on it; `whole` is the run that nothing happened to.
struct Uninterrupted {
  Folder folder;
  std::string options, whole = folder / "whole";

  explicit Uninterrupted(const std::string& more)
      : options("--data " + folder.write("text.txt", stories(5000)) + tiny + more + " --runs " +
                folder.path.string() + " --name ") {
    REQUIRE(run("train " + options + "whole").status == 0);
  }
  // Fails unless the run goes on to the same bytes.
  Outcome check_resumes(const std::string& name) const {
    const Outcome resumed = run("train --resume " + (folder / name));
    INFO(name << " printed: " << resumed.text);
    CHECK(resumed.status == 0);
    CHECK(metrics(folder / name) == metrics(whole));
    CHECK(weights(folder / name) == weights(whole));
    return resumed;
  }
};

}  // namespace

TEST_CASE("one process trains a run, a second one is told so", "[disasters]") {
  const Trained trained;
  const std::string before = metrics(trained.run);
  {
    const Lock other(trained.run + "/lock");
    REQUIRE(other.held());
    check_refused("train --resume " + trained.run + " --steps 70", {trained.run, "another process"});
  }
  CHECK(metrics(trained.run) == before);
  CHECK(run("train --resume " + trained.run + " --steps 70").status == 0);

  // Two that start at once, without names, do not get the same folder.
  const Folder& folder = trained.folder;
  const std::string start = program("train") + " --data " + (folder / "text.txt") + tiny +
                            "--steps 40 --runs " + (folder / "runs") + " >" + (folder / "out") + " 2>&1";
  REQUIRE(std::system(("{ " + start + " & " + start + "; wait; }").c_str()) == 0);
  CHECK(metrics(folder / "runs/story").size() > 1000);
  CHECK(metrics(folder / "runs/story-2") == metrics(folder / "runs/story"));
}

TEST_CASE("a run that is killed before its first checkpoint can be resumed", "[disasters]") {
  const Uninterrupted run_of("--steps 400 --checkpoint-every 100000 --eval-every 200");
  const Folder& folder = run_of.folder;
  const int status =
      interrupt_training(training(run_of.options + "early"), folder / "early/metrics.jsonl", 20, SIGKILL);
  REQUIRE(WIFSIGNALED(status));
  CHECK(read_state(folder / "early/checkpoint/last.safetensors").done == 0);
  check_refused("train " + run_of.options + "early", {"exists already", "--resume"});
  run_of.check_resumes("early");

  // Killed between the folder and the checkpoint of step 0, there is nothing to lose.
  fs::remove_all(folder / "early/checkpoint");
  check_refused("train --resume " + (folder / "early"),
                {"no checkpoint", "remove the folder", "start it again"});
  check_refused("train " + run_of.options + "early", {"no checkpoint", "remove it"});
}

TEST_CASE("a terminal that is closed, and a pipe that nobody reads, end a run with a checkpoint",
          "[disasters]") {
  const Uninterrupted run_of("--steps 1500");
  const Folder& folder = run_of.folder;
  const int status =
      interrupt_training(training(run_of.options + "hung-up"), folder / "hung-up/metrics.jsonl", 50, SIGHUP);
  REQUIRE(WIFSIGNALED(status));  // a shell sees 129
  CHECK(WTERMSIG(status) == SIGHUP);
  CHECK(fs::exists(folder / "hung-up/report.html"));
  run_of.check_resumes("hung-up");

  const std::string piped =
      program("train") + " " + run_of.options + "piped 2>&1 | head -n 1 >" + (folder / "out");
  REQUIRE(std::system(piped.c_str()) == 0);
  CHECK(read_state(folder / "piped/checkpoint/last.safetensors").done > 0);
  run_of.check_resumes("piped");

  // Under nohup it goes on.
  const std::string script = "trap '' HUP; exec " + program("train") + " " + run_of.options + "nohup";
  const int ended = interrupt_training({"/bin/sh", "-c", script}, folder / "nohup/metrics.jsonl", 50, SIGHUP);
  REQUIRE(WIFEXITED(ended));
  CHECK(metrics(folder / "nohup") == metrics(run_of.whole));
}

TEST_CASE("a dash too few is no other option", "[disasters]") {
  check_refused("train -heads 4", {"no option '-heads'", "did you mean --heads?"});
  check_refused("train -lr=1", {"no option '-lr=1'", "did you mean --lr?"});
  check_refused("train --steps 1 -4", {"no option '-4'", "--help"});
  check_refused("train --against '-heads 2'", {"--against", "no option '-heads'", "did you mean --heads?"});
  check_refused("train --lr -1", {"--lr", "-1", "at least 0"});  // a value may begin with one
  check_refused("sample -run x", {"no option '-run'", "did you mean --run?"});
  const Folder folder;
  check_refused(
      "experiment " + folder.write("p.json",
                                   R"({"name": "p", "updates": 1, "seeds": [1], "options": "-heads 2",
                                                 "baseline": "a", "arms": {"a": ""}, "measures": ["valid.loss"]})"),
      {"p.json", "no option '-heads'", "did you mean --heads?"});
  const Outcome help = run("train -h");
  CHECK(help.status == 0);
  CHECK(contains(help.text, "--heads"));
}

TEST_CASE("what metrics.jsonl has lost is told when a run goes on", "[disasters]") {
  const Trained trained("--steps 60 --log-every 5 --eval-every 20 ");
  const std::string file = trained.run + "/metrics.jsonl", before = metrics(trained.run);
  const auto resume = [&](const std::string& text) {
    std::ofstream(file, std::ios::binary) << text;
    const Outcome outcome = run("train --resume " + trained.run);
    INFO(outcome.text);
    CHECK(outcome.status == 0);
    return outcome.text;
  };
  CHECK(!contains(resume(before), "warning"));
  CHECK(metrics(trained.run) == before);

  const std::size_t second = before.find('\n') + 1, third = before.find('\n', second) + 1;
  std::string text = resume(before.substr(0, second) + before.substr(third));
  CHECK(contains(
      text, "warning: metrics.jsonl lacks 1 line before the checkpoint of step 60, the first of step 10"));
  // A line torn in its middle, as an old disk leaves it, and the end of the file gone.
  text = resume(before.substr(0, second + 20) + "\n" + before.substr(third));
  CHECK(contains(text, "lacks 1 line"));
  CHECK(contains(text, "1 line that could not be read"));
  text = resume(before.substr(0, second + 20));
  CHECK(contains(text, "lacks 14 lines before the checkpoint of step 60, the first of step 10"));
}

TEST_CASE("sizes that no machine holds are refused before anything is allocated", "[disasters]") {
  const Folder folder;
  const std::string train = "train --runs " + (folder / "runs") + " --steps 1 ";
  for (const char* option : {"batch", "ffn", "channels", "context", "layers", "heads", "micro-batch"}) {
    check_refused(train + "--" + option + " 4611686018427387904",
                  {option, "got 4611686018427387904", "at most 2147483647"});
  }
  check_refused(train + "--workers 4611686018427387904", {"--workers", "at most 4096"});
  check_refused(train + "--batch 2000000000", {"memory", "TB", "this machine has", "smaller --batch"});
  check_refused(train + "--channels 2000000000", {"memory", "TB", "this machine has", "--channels"});
  check_refused(train + "--ffn 2000000000", {"memory", "this machine has", "--ffn"});
  check_refused(train + "--context 2000000000", {"memory", "this machine has", "--context"});
  check_refused(train + "--layers 100000000", {"memory", "this machine has", "--layers"});
  check_refused("train --against '--layers 100000000' --runs " + (folder / "runs"), {"memory", "--layers"});
  CHECK(!fs::exists(folder / "runs"));
}

TEST_CASE("brackets in brackets, and JSON of other types, are refused by the name of their file",
          "[disasters]") {
  const Trained trained;
  const Folder& folder = trained.folder;
  const std::string deep = std::string(200'000, '[') + std::string(200'000, ']');
  const std::string objects = [&] {
    std::string text;
    for (int i = 0; i < 200'000; ++i) text += "{\"a\":";
    return text + "1" + std::string(200'000, '}');
  }();
  for (const std::string& text : {deep, "{\"layers\": " + deep + "}", objects}) {
    check_refused("train --config " + folder.write("deep.json", text), {"deep.json", "brackets in brackets"});
    check_refused("experiment " + folder.write("deep.json", text), {"deep.json", "brackets in brackets"});
    check_throws([&] { Record::parse(text); }, {"metrics", "brackets in brackets"});
  }
  check_refused("train --config " + folder.write("number.json", "{\"lr\": 1e999}"), {"number.json", "JSON"});
  check_refused("train --config " + folder.write("zero.json", std::string("{}\0", 3)), {"zero.json", "NUL"});
  for (const char* line :
       {"{\"step\":\"1\"}", "{\"step\":null}", "{\"step\":1e300}", "{\"step\":1,\"layer\":[]}",
        "{\"step\":18446744073709551615}", "[1]", "{\"step\":1,\"head\":1.5}"})
    check_throws([&] { Record::parse(line); }, {"metrics"});

  const std::string config = read_file(trained.run + "/config.json");
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = config;
    text.replace(text.find(from), from.size(), to);
    std::ofstream(trained.run + "/config.json", std::ios::binary) << text;
  };
  with("\"data-fingerprint\": \"", "\"data-fingerprint\": 7, \"version\": \"");
  check_refused("sample --run " + trained.run, {"config.json"});
  std::ofstream(trained.run + "/config.json", std::ios::binary) << "{\"data-fingerprint\": 7}";
  check_refused("sample --run " + trained.run, {"config.json: data-fingerprint", "'7'", "a text"});
  std::ofstream(trained.run + "/config.json", std::ios::binary) << deep;
  check_refused("sample --run " + trained.run, {"config.json", "brackets in brackets"});
  check_refused("train --resume " + trained.run, {"config.json", "brackets in brackets"});
}

TEST_CASE("a run's name is that of a folder below --runs", "[disasters]") {
  const Folder folder;
  const std::string data = folder.write("text.txt", stories(3000));
  const std::string train = "train --data " + data + tiny + "--steps 1 --runs " + (folder / "runs") + " ";
  const auto long_name = std::string(300, 'a');
  for (const std::string& name : {std::string("../../x"), std::string("/tmp/x"), std::string(".hidden"),
                                  std::string(".."), long_name, std::string("a\\b")}) {
    check_refused(train + "--name '" + name + "'", {"--name", "without / and"});
    std::string json;
    for (const char c : name) json += c == '\\' ? std::string("\\\\") : std::string(1, c);
    check_refused(train + "--config " + folder.write("c.json", "{\"name\": \"" + json + "\"}"),
                  {"--name", "without / and"});
  }
  check_refused(train + "--name $'a\\xff'", {"--name"});
  check_refused(train + "--name \"$(printf 'a\\377')\"", {"--name", "UTF-8"});
  check_refused("train --runs \"$(printf 'a\\377')\"", {"--runs", "UTF-8"});
  CHECK(!fs::exists(folder / "runs"));
  CHECK(run(train + "--name 'Größe 2.0 – a'").status == 0);
}

TEST_CASE("a text that drives terminals is shown, not obeyed", "[disasters]") {
  const Folder folder;
  std::string text;
  for (int i = 0; i < 300; ++i) text += "\x1b[31mred\x07 \xC2\x9B\x7F\n";
  const std::string train =
      "train --data " + folder.write("text.txt", text) + tiny + "--steps 30 --runs " + folder.path.string();
  const auto is_plain = [](const std::string& shown) {
    return std::all_of(shown.begin(), shown.end(),
                       [](char c) { return c == '\n' || c == '\t' || c >= ' ' || c < 0; }) &&
           !contains(shown, "\x7F") && !contains(shown, "\xC2\x9B");
  };
  for (const std::string& tokens : {std::string("chars"), std::string("bytes")}) {
    const Outcome trained = run(train + " --tokens " + tokens + " --name " + tokens);
    INFO(trained.text);
    REQUIRE(trained.status == 0);
    CHECK(is_plain(trained.text));
    const Outcome sample = run("sample --tokens 300 --run " + (folder / tokens));
    CHECK(is_plain(sample.text));
    CHECK(contains(sample.text, "\\x1B"));
    CHECK(is_plain(read_file((folder / tokens) + "/log.txt")));
  }
}

TEST_CASE("texts of Windows and old Macs train as others do, and it is said once", "[disasters]") {
  const Folder folder;
  const std::string plain = stories(3000);
  std::string windows = "\xEF\xBB\xBF";
  for (const char c : plain) windows += c == '\n' ? std::string("\r\n") : std::string(1, c);
  const std::string options = tiny + "--steps 20 --runs " + folder.path.string();
  REQUIRE(run("train --data " + folder.write("plain.txt", plain) + options + " --name plain").status == 0);
  const std::string train = "train --data " + folder.write("windows.txt", windows) + options;
  const Outcome outcome = run(train + " --name windows");
  REQUIRE(outcome.status == 0);
  CHECK(contains(outcome.text, "byte-order mark at the beginning of windows.txt is left out"));
  const std::size_t said = outcome.text.find("CR LF and CR are read as line ends in windows.txt");
  CHECK(said != std::string::npos);
  CHECK(outcome.text.find("CR LF", said + 1) == std::string::npos);
  CHECK(metrics(folder / "windows") == metrics(folder / "plain"));
  const Outcome kept = run(train + " --keep-line-ends --name kept");
  CHECK(!contains(kept.text, "CR LF"));
  CHECK(metrics(folder / "kept") != metrics(folder / "plain"));
  // A run of before there was this option says how it can go on.
  std::string config = read_file(folder / "kept/config.json");
  const std::string option = "\"keep-line-ends\": true";
  config.replace(config.find(option), option.size(), "\"keep-line-ends\": false");
  folder.write("kept/config.json", config);
  check_refused("train --resume " + (folder / "kept"), {"fingerprint", option});
}

TEST_CASE("a full disk ends a run with an error, and it resumes to the same bytes", "[disasters]") {
  const Uninterrupted run_of("--steps 600");
  const Folder& folder = run_of.folder;
  // No file may grow beyond so many kilobytes: checkpoints fit, the metrics in the end do not.
  const auto with_small_disk = [&](int kilobytes, const std::string& name) {
    const std::string command = "trap '' XFSZ; ulimit -f " + std::to_string(2 * kilobytes) + "; exec " +
                                program("train") + " " + run_of.options + name + " 2>" + (folder / "said") +
                                " >/dev/null";
    const int raw = std::system(command.c_str());
    return Outcome{WIFEXITED(raw) ? WEXITSTATUS(raw) : -1, read_file(folder / "said")};
  };
  const auto kilobytes =
      static_cast<int>(fs::file_size(run_of.whole + "/checkpoint/last.safetensors") / 1024 + 2);
  REQUIRE(static_cast<std::size_t>(kilobytes) < metrics(run_of.whole).size() / 1024);
  const Outcome full = with_small_disk(kilobytes, "full");
  INFO(full.text);
  CHECK(full.status == 2);
  CHECK(contains(full.text, "cannot write"));
  CHECK(contains(full.text, "metrics.jsonl"));
  run_of.check_resumes("full");
  // Where not even the first checkpoint fits, nothing stays in the way.
  const Outcome fuller = with_small_disk(5, "fuller");
  CHECK(fuller.status == 2);
  CHECK(contains(fuller.text, "cannot write"));
  CHECK(!fs::exists(folder / "fuller"));
}

TEST_CASE("data that are gone, or changed, are told before a run goes on", "[disasters]") {
  const Trained trained;
  const std::string before = weights(trained.run);
  trained.folder.write("text.txt", stories(5000) + "More.\n");
  check_refused("train --steps 70 --resume " + trained.run, {"fingerprint", "text.txt", "changed"});
  check_refused("eval --run " + trained.run, {"fingerprint", "text.txt", "changed"});
  fs::remove(trained.folder / "text.txt");
  check_refused("train --steps 70 --resume " + trained.run, {"no such file", "text.txt"});
  check_refused("eval --run " + trained.run, {"no such file", "text.txt"});
  CHECK(run("sample --tokens 5 --run " + trained.run).status == 0);  // needs the model alone
  CHECK(weights(trained.run) == before);
}

TEST_CASE("a folder that may not be written is told before anything is computed", "[disasters]") {
  const Folder folder;
  fs::create_directory(folder / "runs");
  fs::permissions(folder / "runs", fs::perms::owner_read | fs::perms::owner_exec);
  const std::string train =
      "train" + tiny + "--data " + folder.write("text.txt", stories(3000)) + " --steps 2";
  if (::geteuid() != 0)  // permissions do not bind root
    check_refused(train + " --runs " + (folder / "runs"), {"cannot write in the folder", "permissions"});
  else
    check_refused(train + " --runs /proc/eigenformer", {"cannot create the folder"});
  fs::permissions(folder / "runs", fs::perms::owner_all);
}
