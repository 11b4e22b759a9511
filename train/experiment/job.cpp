#include "train/experiment/job.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "train/run.h"

namespace ef {

namespace fs = std::filesystem;

Config Job::config() const {
  Config c = arm->config;
  c.seed = seed;
  c.name = fs::path(run).filename().string();
  c.runs = fs::path(run).parent_path().string();
  return c;
}

bool Job::has_checkpoint() const {
  return fs::exists(file("config.json")) && fs::exists(file("checkpoint/last.safetensors"));
}

// The last training line of metrics.jsonl, from the end of the file alone.
void Job::read_progress() {
  std::ifstream log(file("metrics.jsonl"), std::ios::binary);
  if (!log) return;
  log.seekg(0, std::ios::end);
  const std::streamoff size = log.tellg(), tail = std::min<std::streamoff>(size, 20000);
  log.seekg(size - tail);
  std::string text(tail, '\0');
  log.read(text.data(), tail);
  text.resize(text.rfind('\n') + 1);  // npos + 1 is 0
  const std::size_t mark = text.rfind("\"split\":\"train\"");
  if (mark == std::string::npos) return;
  const std::size_t begin = text.rfind('\n', mark) + 1, end = text.find('\n', mark);
  const std::string line = text.substr(begin, end - begin);
  if (!line.starts_with("{\"step\":")) return;  // cut off
  const Record record = Record::parse(line);
  done = record.step;
  loss = record.value("loss");
  if (std::isnan(loss)) loss = record.value("smoothed_loss");
}

}  // namespace ef
