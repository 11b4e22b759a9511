#include "engine/optimisers/optimiser.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <sstream>

#include "engine/error.h"
#include "engine/math.h"
#include "engine/nearest.h"
#include "engine/workers.h"

namespace ef {
namespace {

// ---- Who is in a group

constexpr const char* kinds[] = {"matrices", "embeddings", "head", "vectors"};

const char* kind_of(const Parameter& p) {
  switch (p.kind) {
    case Parameter::Kind::embedding:
      return "embeddings";
    case Parameter::Kind::head:
      return "head";
    case Parameter::Kind::weight:
      break;
  }
  return p.shape.rank >= 2 ? "matrices" : "vectors";
}

// * stands for any letters.
bool matches(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] != '*')
    return !text.empty() && pattern[0] == text[0] && matches(pattern.substr(1), text.substr(1));
  for (std::size_t skip = 0; skip <= text.size(); ++skip)
    if (matches(pattern.substr(1), text.substr(skip))) return true;
  return false;
}

bool is_in(const std::string& who, const Parameter& p) { return who == kind_of(p) || matches(who, p.path); }

using DecayGroup = bool (*)(const Parameter&);
struct NamedDecay {
  const char* name;
  DecayGroup decays;
};
constexpr NamedDecay decays[] = {{"matrices", [](const Parameter& p) { return p.shape.rank >= 2; }},
                                 {"all", [](const Parameter&) { return true; }},
                                 {"none", [](const Parameter&) { return false; }}};

DecayGroup decay_group(const std::string& name) {
  for (const NamedDecay& one : decays)
    if (one.name == name) return one.decays;
  fail("no decay group " + name, "", "", suggestion(name, decay_groups()));
}

// ---- Groups

double number(const std::string& who, const std::string& key, const std::string& text) {
  OptionValues values;
  values.set(key, text);
  try {
    return Option<double>(key, 0, at_least(0), "")(values);
  } catch (const Error& error) {
    fail("--groups: " + who + ": " + error.what());
  }
}

struct Group {
  std::string who, rule;
  double rate = -1, decay = -1;  // -1: not told
  OptionValues options;
  std::vector<std::string> told;  // names of options
};

std::vector<Group> groups_of(const std::string& text) {
  std::vector<Group> groups;
  std::istringstream list(text);
  for (std::string one; std::getline(list, one, ';');) {
    std::istringstream words(one);
    Group group;
    if (!(words >> group.who)) continue;
    for (std::string word; words >> word;) {
      const std::size_t at = word.find('=');
      if (at == std::string::npos) fail("--groups: " + group.who, in_quotes(word), "a word like lr=1e-3");
      const std::string key = word.substr(0, at), value = word.substr(at + 1);
      if (key == "optimiser") {
        group.rule = value;
      } else if (key == "lr") {
        group.rate = number(group.who, key, value);
      } else if (key == "weight-decay") {
        group.decay = number(group.who, key, value);
      } else {
        group.options.set(key, value);
        group.told.push_back(key);
      }
    }
    groups.push_back(group);
  }
  return groups;
}

// Error if the rule has no such option.
void check_told(const Group& group, const std::string& rule) {
  std::vector<std::string> names = {"optimiser", "lr", "weight-decay"};
  for (const Declaration& option : Registry<OptimiserRule>::find(rule).options) names.push_back(option.name);
  for (const std::string& name : group.told)
    if (std::find(names.begin(), names.end(), name) == names.end())
      fail("--groups: " + group.who + ": no option " + name + " of " + rule, "", "", suggestion(name, names));
}

}  // namespace

std::vector<std::string> decay_groups() {
  std::vector<std::string> names;
  for (const NamedDecay& one : decays) names.emplace_back(one.name);
  return names;
}

Optimiser::Optimiser(const Parameters& parameters, const OptimiserConfig& config, Index workers) {
  if (!(config.weight_decay >= 0)) fail("weight decay", std::to_string(config.weight_decay), "at least 0");
  const std::vector<Group> groups = groups_of(config.groups);
  const DecayGroup decays_by_default = decay_group(config.decay);
  std::map<std::string, std::shared_ptr<const OptimiserRule>> made;  // by name and options
  const auto rule_of = [&](const std::string& name, const OptionValues& options, const std::string& key) {
    std::shared_ptr<const OptimiserRule>& rule = made[name + key];
    if (!rule) rule = Registry<OptimiserRule>::make(name, options);
    return rule;
  };
  rule_of(config.rule, config.options, "");  // Error, though all parameters may be in groups
  std::vector<bool> matched(groups.size(), false);
  for (const Parameter& p : parameters.list()) {
    Treatment t;
    t.parameter = &p;
    t.rule_name = config.rule;
    t.decay = decays_by_default(p) ? Real(config.weight_decay) : Real(0);
    OptionValues options = config.options;
    std::string key;
    for (std::size_t i = 0; p.trained && i < groups.size(); ++i) {
      const Group& group = groups[i];
      if (!is_in(group.who, p)) continue;
      matched[i] = true;
      if (!group.rule.empty()) t.rule_name = group.rule;
      if (group.rate >= 0) t.rate = group.rate / config.learning_rate;
      if (group.decay >= 0) t.decay = Real(group.decay);
      check_told(group, t.rule_name);
      for (const std::string& name : group.told) options.set(name, *group.options.find(name));
      if (!group.told.empty()) key.append(" ").append(std::to_string(i));
    }
    t.rule = rule_of(t.rule_name, options, key);
    if (const std::string other = t.rule->instead_for(p); !other.empty()) {
      t.rule_name = other;
      t.rule = rule_of(other, options, key);
    }
    treatments_.push_back(std::move(t));
  }
  std::vector<std::string> paths(std::begin(kinds), std::end(kinds));
  for (const Parameter& p : parameters.list())
    if (p.trained) paths.push_back(p.path);
  for (std::size_t i = 0; i < groups.size(); ++i)
    if (!matched[i])
      fail("--groups: no parameter is in " + groups[i].who, "", "", suggestion(groups[i].who, paths));

  // State beside the parameters, which is not trained, has memory as they have: that is how checkpoints were.
  Index size = 0;
  std::vector<std::string> names;
  for (Treatment& t : treatments_) {
    const auto all = t.rule->remembers(*t.parameter);
    if (all.size() > t.offsets.size()) fail(t.rule_name + ": it remembers too much", "", "three things");
    for (std::size_t i = 0; i < all.size(); ++i) {
      t.offsets[i] = size;
      t.like_weights[i] = all[i].shape == t.parameter->shape;
      size += (all[i].shape.size() + 15) / 16 * 16;  // rows aligned, as those of the weights
      if (std::find(names.begin(), names.end(), all[i].name) == names.end()) names.emplace_back(all[i].name);
    }
  }
  numbers_ = Buffer(size);
  for (const std::string& name : names) {
    for (const Treatment& t : treatments_) {
      const auto all = t.rule->remembers(*t.parameter);
      for (std::size_t i = 0; i < all.size(); ++i)
        if (all[i].name == name)
          memory_.push_back({name, t.parameter, all[i].shape, numbers_.data() + t.offsets[i]});
    }
  }
  std::erase_if(treatments_, [](const Treatment& t) { return !t.parameter->trained; });
  share(workers);
}

// What may be cut is cut into equal parts; whole matrices go, the dearest first, to whoever has least to do.
void Optimiser::share(Index workers) {
  pieces_.resize(workers);
  Index together = 0;
  std::vector<std::size_t> whole;
  for (std::size_t i = 0; i < treatments_.size(); ++i) {
    if (treatments_[i].rule->wants_whole())
      whole.push_back(i);
    else
      together += treatments_[i].parameter->shape.size();
  }
  for (Index worker = 0; worker < workers; ++worker) {
    const Share slice = share_of(together, worker, workers, 16);
    Index begin = 0;
    for (std::size_t i = 0; i < treatments_.size(); ++i) {
      if (treatments_[i].rule->wants_whole()) continue;
      const Index size = treatments_[i].parameter->shape.size();
      const Index from = std::max(slice.first - begin, Index{0}), to = std::min(slice.last - begin, size);
      if (from < to) pieces_[worker].push_back({i, from, to});
      begin += size;
    }
  }
  const auto cost = [&](std::size_t i) {
    const Shape& shape = treatments_[i].parameter->shape;
    const double rows = static_cast<double>(shape[0]), size = static_cast<double>(shape.size());
    return size * std::min(rows, size / std::max(rows, 1.0));  // of a product of the matrix with itself
  };
  std::stable_sort(whole.begin(), whole.end(),
                   [&](std::size_t a, std::size_t b) { return cost(a) > cost(b); });
  std::vector<double> load(workers, 0);
  for (const std::size_t i : whole) {
    const auto least = std::min_element(load.begin(), load.end());
    *least += cost(i);
    pieces_[least - load.begin()].push_back({i, 0, treatments_[i].parameter->shape.size()});
  }
}

void Optimiser::update(Index worker, Real* values, const Real* gradients, Index step, double learning_rate,
                       double gradient_scale) {
  for (const Piece& piece : pieces_[worker]) {
    const Treatment& t = treatments_[piece.of];
    const Index at = t.parameter->offset + piece.first;
    Moving moving{*t.parameter, piece.last - piece.first, values + at, gradients + at, {}};
    for (std::size_t i = 0; i < moving.memory.size(); ++i)
      moving.memory[i] = numbers_.data() + t.offsets[i] + (t.like_weights[i] ? piece.first : 0);
    t.rule->update(moving, {step, Real(t.rate * learning_rate), t.decay, Real(gradient_scale)});
  }
}

const Real* Optimiser::remembered(const std::string& name, const std::string& path) const {
  for (const Memory& one : memory_)
    if (one.name == name && one.parameter->path == path) return one.data;
  return nullptr;
}

std::string Optimiser::describe() const {
  std::vector<std::string> names;
  std::map<std::string, std::pair<std::size_t, Index>> counts;
  for (const Treatment& t : treatments_) {
    if (!counts.contains(t.rule_name)) names.push_back(t.rule_name);
    ++counts[t.rule_name].first;
    counts[t.rule_name].second += t.parameter->shape.size();
  }
  std::string text;
  for (const std::string& name : names) {
    const auto& [count, size] = counts[name];
    text += (text.empty() ? "" : ", ") + name + ": " + std::to_string(count) +
            (count == 1 ? " parameter of " : " parameters of ") + std::to_string(size) + " numbers";
  }
  return text;
}

std::size_t Optimiser::rules() const {
  std::set<std::string> names;
  for (const Treatment& t : treatments_) names.insert(t.rule_name);
  return names.size();
}

double sum_of_squares(const Real* x, Index n) {
  double total = 0;
  EF_REDUCE(total)
  for (Index i = 0; i < n; ++i) total += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return total;
}

}  // namespace ef
