#include "train/quantities.h"

#include <algorithm>
#include <cctype>
#include <tuple>

namespace ef {
namespace {

struct LoopQuantity {
  bool measure;  // whether results hold it
  Quantity quantity;
};

Quantity loss(const char* key, const char* title) {
  return {.key = key,
          .title = title,
          .unit = "nats per token",
          .detail = true,
          .better = Quantity::Better::lower,
          .low = {}};
}

Quantity perplexity(const char* key, const char* title) {
  return {.key = key,
          .title = title,
          .unit = "perplexity",
          .detail = true,
          .better = Quantity::Better::lower,
          .low = {}};
}

// The order is that in which mistyped names are answered.
const std::vector<LoopQuantity>& all_of_loop() {
  static const std::vector<LoopQuantity> all = {
      {true,
       {.key = "valid.loss",
        .title = "Validation loss",
        .unit = "nats per token",
        .row = "validation loss, nats",
        .order = 0,
        .better = Quantity::Better::lower,
        .low = {}}},
      {true, perplexity("valid.perplexity", "Validation perplexity")},
      {true, loss("valid.loss.last", "Last validation loss")},
      {true, perplexity("valid.perplexity.last", "Last validation perplexity")},
      {true, loss("valid.loss.mean", "Mean of all validation losses")},
      {true,
       {.key = "valid.step", .title = "Step of the best validation", .unit = "updates", .detail = true}},
      {true,
       {.key = "valid.excess",
        .title = "Excess",
        .unit = "nats",
        .meaning = "above the floor",
        .row = "excess over the floor",
        .order = 1,
        .better = Quantity::Better::lower}},
      {true, loss("train.loss", "Training loss")},
      {true, loss("context.loss", "Validation loss with context")},
      {true, perplexity("context.perplexity", "Perplexity with context")},
      {true, loss("test.loss", "Test loss")},
      {true, perplexity("test.perplexity", "Test perplexity")},
      {true, loss("test.context.loss", "Test loss with context")},
      {true, perplexity("test.context.perplexity", "Test perplexity with context")},
      {true, loss("train.smoothed_loss", "Training loss with label smoothing")},
      {false, {.key = "train.learning_rate", .title = "Learning rate", .detail = true}},
      {false,
       {.key = "train.gradient_norm", .title = "Gradient norm", .unit = "before clipping", .detail = true}},
      {false,
       {.key = "train.regulariser",
        .title = "Regulariser",
        .unit = "nats",
        .meaning = "added to the loss",
        .detail = true}},
  };
  return all;
}

// What results make of a probe's quantity over a run.
constexpr const char* made_of[] = {".se", ".best", ".min", ".max"};

Quantity made(Quantity q, const std::string& what) {
  q.key += what;
  if (what == ".min") q.title = "Lowest " + within_sentence(q.title) + " while training";
  if (what == ".max") q.title = "Highest " + within_sentence(q.title) + " while training";
  if (what == ".best") q.title += " at the best validation";
  if (what == ".se") {
    q.title = "Standard error of " + within_sentence(q.title);
    q.meaning = "";
    q.better = Quantity::Better::neither;
  }
  return q;
}

}  // namespace

const std::vector<Quantity>& loop_quantities() {
  static const std::vector<Quantity> all = [] {
    std::vector<Quantity> list;
    for (const LoopQuantity& one : all_of_loop()) list.push_back(one.quantity);
    return list;
  }();
  return all;
}

const std::vector<std::string>& loop_measures() {
  static const std::vector<std::string> all = [] {
    std::vector<std::string> list;
    for (const LoopQuantity& one : all_of_loop())
      if (one.measure) list.push_back(one.quantity.key);
    return list;
  }();
  return all;
}

Quantity named(const std::string& name) {
  for (const Quantity& quantity : loop_quantities())
    if (quantity.key == name) return quantity;
  for (const Probe& probe : all_probes()) {
    if (!name.starts_with(probe.name + ".")) continue;
    const std::string key = name.substr(probe.name.size() + 1);
    if (probe.declared(key)) return quantity_of(probe.name, key);
    for (const std::string what : made_of) {
      if (!key.ends_with(what)) continue;
      const std::string of = key.substr(0, key.size() - what.size());
      if (probe.declared(of)) return made(quantity_of(probe.name, of), what);
    }
  }
  return {.key = name, .title = name};
}

Picture picture_named(const std::string& name) {
  for (const Probe& probe : all_probes())
    for (Picture picture : probe.pictures)
      if (name == probe.name + "." + picture.key) {
        if (picture.title.empty()) picture.title = name;
        return picture;
      }
  return {.key = name, .title = name};
}

bool is_read_from_text(const std::string& name) {
  const auto& all = all_probes();
  return std::any_of(all.begin(), all.end(), [&](const Probe& probe) {
    return probe.read_text && name.starts_with(probe.name + ".");
  });
}

std::vector<std::string> measures_of(const Probe& probe) {
  std::vector<std::string> all;
  for (const Quantity& quantity : probe.quantities) all.push_back(quantity.key);
  for (const Quantity& quantity : probe.quantities)
    for (const char* what : made_of) all.push_back(quantity.key + what);
  return all;
}

std::string within_sentence(std::string title) {
  if (title.size() > 1 && std::islower(static_cast<unsigned char>(title[1])) != 0)
    title[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(title[0])));
  return title;
}

std::vector<ProbeQuantity> in_order(const std::set<std::pair<std::string, std::string>>& read) {
  using Place = std::tuple<bool, int, std::string, std::size_t, std::string>;
  std::vector<std::pair<Place, ProbeQuantity>> all;
  for (const auto& [name, key] : read) {
    std::size_t place = 0;  // among those that the probe declares; behind them, if it is none
    for (const Probe& probe : all_probes()) {
      if (probe.name != name) continue;
      while (place < probe.quantities.size() && probe.quantities[place].key != key) ++place;
    }
    const Quantity quantity = quantity_of(name, key);
    all.push_back({{quantity.detail, quantity.order, name, place, key}, {name, quantity}});
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<ProbeQuantity> sorted;
  for (auto& [place, quantity] : all) sorted.push_back(std::move(quantity));
  return sorted;
}

}  // namespace ef
