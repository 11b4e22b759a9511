#include "train/memory.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "engine/error.h"
#include "train/text/text.h"

namespace ef {
namespace {

std::string bytes_text(double bytes) {
  if (bytes >= 1e15) return concise(bytes / 1e12, 3) + " TB";
  if (bytes >= 1e12) return fixed(bytes / 1e12, 1) + " TB";
  return bytes >= 1e9 ? fixed(bytes / 1e9, 1) + " GB" : fixed(bytes / 1e6, 1) + " MB";
}

void refuse_above(double most, double bytes, const std::string& what, const std::string& hint) {
  if (bytes <= most) return;
  fail("memory: " + what + " need at least " + bytes_text(bytes) + ", and this machine has " +
           bytes_text(most),
       "", "", hint);
}

}  // namespace

double machine_memory() {
  double most = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  double limit = 0;
  std::ifstream file("/sys/fs/cgroup/memory.max");  // of a container; "max" where there is none
  if (file >> limit && limit > 0) most = std::min(most, limit);
  return most;
}

void check_memory(const Config& config, Use use) {
  const ModelConfig& m = config.model;
  const auto layers = static_cast<double>(m.layers), channels = static_cast<double>(m.channels);
  const auto ffn = static_cast<double>(m.ffn), context = static_cast<double>(m.context);
  const double workers = use == Use::training ? std::max(1.0, static_cast<double>(config.workers)) : 1;
  const double batch = use == Use::training ? static_cast<double>(config.batch) : 1;
  constexpr double number = sizeof(Real), id = sizeof(std::int32_t);
  // The two matrices of the feed-forward part and the token table are in all models; so are names and shapes
  // of at least four parameters a layer, in each worker's copy of the model.
  const double copies = use == Use::training ? 1 + workers : 1;  // values, gradients
  const double names = 4 * sizeof(Parameter);
  const double most = machine_memory();
  refuse_above(most, copies * (layers * 2 * channels * ffn + channels) * number + layers * names,
               std::to_string(m.layers) + " layers of " + std::to_string(m.channels) +
                   " channels, feed-forward " + std::to_string(m.ffn),
               "smaller --layers, --channels or --ffn");
  const double sequences = std::min(workers, batch);  // at once, one for each worker at least
  refuse_above(most, sequences * context * channels * number,
               "activations of a context of " + std::to_string(m.context), "a smaller --context");
  refuse_above(
      most, batch * context * 2 * id,
      std::to_string(config.batch) + " sequences of " + std::to_string(m.context) + " tokens in a batch",
      "a smaller --batch or --context");
}

void check_memory(const Parameters& declared, Index copies) {
  const double numbers = static_cast<double>(declared.flat_size()) * static_cast<double>(copies);
  refuse_above(machine_memory(), numbers * sizeof(Real),
               grouped(static_cast<double>(declared.count())) + " parameters and their gradients",
               "smaller --layers, --channels or --ffn, or fewer --workers");
}

}  // namespace ef
