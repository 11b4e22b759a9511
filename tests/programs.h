// What tests of the programs share: folders, and running a program as a person would.
#pragma once
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

#include "data/language.h"
#include "tests/helpers.h"
#include "train/files/files.h"

namespace ef {

namespace fs = std::filesystem;

// An empty folder that ends with the test.
struct Folder {
  fs::path path;
  Folder() {
    std::string name = (fs::temp_directory_path() / "eigenformer-XXXXXX").string();
    path = mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const std::string& name) const { return (path / name).string(); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(*this / name, std::ios::binary) << text;
    return *this / name;
  }
};

struct Outcome {
  int status;
  std::string text;  // what it printed, errors included
};

inline std::string program(const std::string& name) { return std::string(EF_PROGRAMS) + "/" + name; }

inline Outcome run(const std::string& command) {
  const Folder folder;
  const int raw = std::system((program(command) + " >" + (folder / "out") + " 2>&1 </dev/null").c_str());
  return {WIFEXITED(raw) ? WEXITSTATUS(raw) : -1, read_file(folder / "out")};
}

inline std::string stories(std::size_t length) {
  std::string text;
  for (std::uint64_t i = 0; text.size() < length; ++i) text += write_story(7, i).text;
  return text;
}

// A model that takes a fraction of a millisecond a step.
inline const std::string tiny =
    " --context 16 --layers 1 --heads 2 --channels 16 --ffn 32 --batch 4 --workers 2 --dropout 0.1 --lr 0.01"
    " --log-every 1 --eval-every 100 --checkpoint-every 30 --sample-tokens 20 ";

inline std::string metrics(const std::string& run_folder) { return read_file(run_folder + "/metrics.jsonl"); }
inline std::string weights(const std::string& run_folder) {
  return read_file(run_folder + "/checkpoint/last.safetensors");
}

// Starts a training and sends it a signal as soon as its metrics have so many lines. Returns how it ended.
inline int interrupt_training(const std::vector<std::string>& arguments, const std::string& metrics_file,
                              int lines, int signal) {
  std::fflush(stdout);  // or the child would print it once more
  const pid_t child = fork();
  if (child == 0) {
    std::vector<char*> argv;
    for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
    argv.push_back(nullptr);
    if (!std::freopen("/dev/null", "w", stdout)) _exit(127);
    std::signal(signal, SIG_DFL);  // under nohup the tests ignore SIGHUP
    execv(argv[0], argv.data());
    _exit(127);
  }
  for (int status = 0;;) {
    std::ifstream file(metrics_file);
    const auto count = std::count(std::istreambuf_iterator<char>(file), {}, '\n');
    if (count >= lines) kill(child, signal);
    if (waitpid(child, &status, count >= lines ? 0 : WNOHANG) == child) return status;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

inline std::vector<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

}  // namespace ef
