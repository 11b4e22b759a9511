// Reading plans: all mistakes are told before anything runs.
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "data/source.h"
#include "engine/error.h"
#include "engine/nearest.h"
#include "models/probes/probes.h"
#include "train/experiment/plan.h"
#include "train/files/files.h"
#include "train/files/json.h"
#include "train/options/command_line.h"
#include "train/quantities.h"

namespace ef {
namespace {

using json = nlohmann::ordered_json;

// A key that comes twice in one object, where JSON would let the last one win, is refused.
json parse(const std::string& text, const std::string& path) {
  const json whole = parse_json(text, path, JsonBy::hand);
  if (!whole.is_object()) fail(path, "something else", "a JSON object: {\"name\": ..., \"arms\": ...}");
  return whole;
}

// Access to the keys of an object, each of which must be known.
class Keys {
 public:
  Keys(const json& object, const std::string& where, const std::vector<std::string>& known)
      : object_(object), where_(where) {
    if (!object.is_object()) fail(where, object.dump().substr(0, 60), "an object {...}");
    for (const auto& [key, value] : object.items()) {
      if (std::find(known.begin(), known.end(), key) == known.end())
        fail(where + ": no key '" + key + "'", "", "", suggestion(key, known));
    }
  }
  bool has(const char* key) const { return object_.contains(key); }
  const json& at(const char* key, const char* expected) const {
    if (!has(key)) fail(where_ + ": " + key, "nothing", expected);
    return object_[key];
  }
  std::string text(const char* key) const {
    const json& value = at(key, "a text");
    if (!value.is_string()) fail(where_ + ": " + key, value.dump().substr(0, 60), "a text");
    return value.get<std::string>();
  }
  std::string text_or(const char* key, const std::string& otherwise) const {
    return has(key) ? text(key) : otherwise;
  }
  bool flag(const char* key) const {
    if (!has(key)) return false;
    if (!object_[key].is_boolean()) fail(where_ + ": " + key, object_[key].dump(), "true or false");
    return object_[key].get<bool>();
  }
  const json& list(const char* key) const {
    const json& value = at(key, "a list [...]");
    if (!value.is_array()) fail(where_ + ": " + key, value.dump().substr(0, 60), "a list [...]");
    return value;
  }

 private:
  const json& object_;
  std::string where_;
};

// ---- Arms

// What the plan says of each run by keys of its own.
constexpr std::pair<const char*, const char*> not_for_options[] = {
    {"seed", "the plan's key seeds has them"},   {"steps", "the plan's key updates has the budget"},
    {"workers", "each run has one worker"},      {"name", "runs are named after plan, arm and seed"},
    {"runs", "experiment --runs chooses where"},
};

// Every run is on one worker, and writes no sample unless a plan asks for one.
Config config_of(const Plan& plan, const std::string& arm_options, const std::string& arm) {
  Config config;
  apply_preset(config, config.preset);
  std::string preset = config.preset;
  FieldList options = fields(config);
  options.add("preset", preset, "");
  const FieldList all = fields(config);
  config.sample_tokens = 0;
  for (const auto& [where, line] :
       {std::pair{plan.path + ": options", plan.options}, {plan.path + ": arm '" + arm + "'", arm_options}}) {
    auto given = parse_line(where, options, line);
    for (const auto& [name, hint] : not_for_options) {
      if (given.contains(name)) fail(where + ": --" + name, "", "", hint);
    }
    try {
      if (given.contains("preset") && where != plan.path + ": options")
        fail("--preset", given["preset"], "in the options of the plan",
             "in those of an arm it would undo the plan's");
      if (given.contains("preset")) {
        apply_preset(config, given["preset"]);
        config.sample_tokens = 0;
        given.erase("preset");
      }
      for (const auto& [name, text] : given) all.set(name, text);
    } catch (const Error& error) {
      fail(where + ": " + error.what());
    }
  }
  config.workers = 1;
  config.steps = plan.updates;
  try {
    check(config);
    if (!config.probe.empty()) probes_matching(config.probe);
  } catch (const Error& error) {
    fail(plan.path + ": arm '" + arm + "': " + error.what());
  }
  return config;
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
    text.replace(at, what.size(), by);
  return text;
}

// Adds an arm for each combination of the lists.
void expand(const json& entry, const std::string& where, std::vector<Arm>& arms) {
  if (!entry.is_object()) fail(where, entry.dump().substr(0, 60), "an object {...}");
  std::vector<Arm> made(1);
  std::vector<std::string> known;
  for (const auto& [key, value] : entry.items()) known.push_back(key);
  const Keys keys(entry, where, known);
  made[0].name = keys.text("name");
  made[0].options = keys.text("options");
  for (const std::string& key : known) {
    if (key == "name" || key == "options") continue;
    const std::string place = "{" + key + "}";
    if (keys.list(key.c_str()).empty()) fail(where + ": " + key, "an empty list", "values");
    for (const std::string& text : {made[0].name, made[0].options}) {
      if (text.find(place) == std::string::npos)
        fail(where + ": " + key, "no " + place + " in '" + text + "'", "it in both name and options");
    }
    std::vector<Arm> next;
    for (const Arm& arm : made) {
      for (const json& value : entry[key]) {
        if (!value.is_string() && !value.is_number())
          fail(where + ": " + key, value.dump(), "numbers or texts");
        const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
        Arm& one = next.emplace_back();
        one.name = replaced(arm.name, place, text);
        one.options = replaced(arm.options, place, text);
      }
    }
    made = std::move(next);
  }
  for (Arm& arm : made) {
    for (const std::string& text : {arm.name, arm.options}) {
      if (text.find('{') != std::string::npos)
        fail(where, in_quotes(text), "a list for each name in braces", "\"c\": [8, 16] for {c}");
    }
    arms.push_back(std::move(arm));
  }
}

std::vector<Arm> read_arms(const json& whole, const Keys& keys, const std::string& path) {
  std::vector<Arm> arms;
  if (keys.has("arms")) {
    if (!whole["arms"].is_object())
      fail(path + ": arms", whole["arms"].dump().substr(0, 60), "an object: name -> options");
    for (const auto& [name, options] : whole["arms"].items()) {
      if (!options.is_string())
        fail(path + ": arm '" + name + "'", options.dump().substr(0, 60), "options of train as one text");
      Arm& arm = arms.emplace_back();
      arm.name = name;
      arm.options = options.get<std::string>();
    }
  }
  if (keys.has("grid")) {
    std::size_t i = 0;
    for (const json& entry : keys.list("grid"))
      expand(entry, path + ": grid[" + std::to_string(i++) + "]", arms);
  }
  if (arms.empty()) fail(path + ": arms", "nothing", "an object: name -> options, or a grid");
  std::set<std::string> names, files;
  for (const Arm& arm : arms) {
    if (!names.insert(arm.name).second) fail(path + ": arm '" + arm.name + "'", "two of that name", "one");
    if (!files.insert(result_name(arm.name, 0)).second)
      fail(path + ": arm '" + arm.name + "'", "a name that differs from another's in punctuation only", "",
           "their result files would have one name");
  }
  return arms;
}

// ---- Measures

void check_measure(const Plan& plan, const std::string& measure, const std::vector<const Arm*>& arms,
                   const std::string& where) {
  if (measure.starts_with("test.") && !plan.test)
    fail(where, measure, "\"test\": true in the plan", "the test set is not looked at otherwise");
  if (measure.find("context.") != std::string::npos && !plan.context_evaluation)
    fail(where, measure, "\"context_evaluation\": true in the plan");
  for (const Arm* arm : arms) {
    if (measure.find("context.") != std::string::npos &&
        data_source(arm->config.data, arm->config.options)->documents())
      fail(where, measure, "a text of one piece", "its documents have nothing before them");
  }
  const std::vector<std::string>& plain = loop_measures();
  if (std::find(plain.begin(), plain.end(), measure) != plain.end()) return;
  std::vector<std::string> names = plain;
  for (const Probe& probe : probes_matching("*")) {
    names.push_back(probe.name);
    if (!measure.starts_with(probe.name + ".")) continue;
    if (probe.shape.find("tensor") != std::string::npos)
      fail(where, measure, "a probe of layers and heads", probe.name + " reads tensors one by one");
    for (const Arm* arm : arms) {
      bool read = false;
      if (!arm->config.probe.empty()) {
        for (const Probe& chosen : probes_matching(arm->config.probe))
          read = read || chosen.name == probe.name;
      }
      if (!read)
        fail(where, measure, "a probe that arm '" + arm->name + "' reads",
             "its --probe is " + arm->config.probe);
    }
    const std::string key = measure.substr(probe.name.size() + 1);
    const std::vector<std::string> keys = measures_of(probe);
    if (keys.empty() || std::find(keys.begin(), keys.end(), key) != keys.end()) return;
    const std::string near = nearest(key, keys);
    std::string hint = near.empty() ? probe.name + " reads" : "did you mean " + probe.name + "." + near + "?";
    for (const Quantity& quantity : probe.quantities)
      if (near.empty()) hint += (&quantity == &probe.quantities[0] ? " " : ", ") + quantity.key;
    fail(where + ": no measure " + measure, "", "", hint);
  }
  fail(where + ": no measure " + measure, "", "", suggestion(measure, names));
}

// ---- Predictions

std::vector<Statement> read_claims(const json& object, const std::string& path) {
  std::vector<Statement> claims;
  if (!object.is_object()) fail(path + ": claims", object.dump().substr(0, 60), "an object: id -> {...}");
  for (const auto& [id, value] : object.items()) {
    const std::string where = path + ": claim '" + id + "'";
    const Keys keys(value, where, {"says", "source"});
    claims.push_back({id, keys.text("says"), keys.text("source")});
    if (claims.back().source != "paper" && claims.back().source != "ours")
      fail(where + ": source", in_quotes(claims.back().source), "paper or ours");
  }
  return claims;
}

Prediction read_prediction(const json& value, const Plan& plan, const std::string& where) {
  const Keys keys(value, where,
                  {"claim", "says", "measure", "arm", "against", "direction", "margin", "role"});
  Prediction p;
  p.claim = keys.text("claim");
  p.says = keys.text("says");
  p.measure = keys.text("measure");
  p.arm = keys.text("arm");
  p.against = keys.text_or("against", plan.baseline);

  std::vector<std::string> ids, arms;
  for (const Statement& claim : plan.claims) ids.push_back(claim.id);
  for (const Arm& arm : plan.arms) arms.push_back(arm.name);
  if (std::find(ids.begin(), ids.end(), p.claim) == ids.end())
    fail(where + ": no claim '" + p.claim + "'", "", "",
         ids.empty() ? "the plan's key claims says what they are" : suggestion(p.claim, ids));
  for (const std::string& name : {p.arm, p.against}) {
    if (!plan.arm(name)) fail(where + ": no arm '" + name + "'", "", "", suggestion(name, arms));
  }
  if (p.arm == p.against) fail(where, "'" + p.arm + "' against itself", "two arms");
  check_measure(plan, p.measure, {plan.arm(p.arm), plan.arm(p.against)}, where + ": measure");

  const std::string direction = keys.text("direction");
  if (direction == "lower")
    p.direction = Prediction::Direction::lower;
  else if (direction == "higher")
    p.direction = Prediction::Direction::higher;
  else if (direction == "near")
    p.direction = Prediction::Direction::near;
  else
    fail(where + ": direction", in_quotes(direction), "lower, higher or near");
  if (keys.has("margin")) {
    const json& margin = keys.at("margin", "a number");
    if (!margin.is_number() || !(margin.get<double>() >= 0))
      fail(where + ": margin", margin.dump(), "a number, at least 0");
    p.margin = margin.get<double>();
  }
  if (p.direction == Prediction::Direction::near && !(p.margin > 0))
    fail(where + ": margin", "nothing", "a number above 0", "near means within the margin");
  const std::string role = keys.text_or("role", "secondary");
  if (role == "primary")
    p.role = Prediction::Role::primary;
  else if (role == "check")
    p.role = Prediction::Role::check;
  else if (role != "secondary")
    fail(where + ": role", in_quotes(role), "primary, check or secondary");
  return p;
}

// The rule of plan.h for plans that were written before there were roles.
void choose_roles(std::vector<Prediction>& predictions) {
  std::set<std::string> judged;  // claims that have their primary
  for (Prediction& p : predictions) {
    if (p.measure.starts_with("qk.spectrum."))
      p.role = Prediction::Role::check;
    else if (judged.insert(p.claim).second)
      p.role = Prediction::Role::primary;
    else
      p.role = Prediction::Role::secondary;
  }
}

// One answer of a plan to each claim: of two, the better one could be chosen.
void check_roles(const std::vector<Prediction>& predictions, const std::string& path) {
  std::map<std::string, std::size_t> first;
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    if (predictions[i].role != Prediction::Role::primary) continue;
    const auto [found, alone] = first.try_emplace(predictions[i].claim, i);
    if (alone) continue;
    fail(path + ": predictions[" + std::to_string(i) + "]: role",
         "a second primary of claim '" + predictions[i].claim + "'",
         "one: predictions[" + std::to_string(found->second) + "] is it",
         "the others are \"secondary\", or a \"check\"");
  }
}

}  // namespace

const Arm* Plan::arm(const std::string& wanted) const {
  for (const Arm& one : arms) {
    if (one.name == wanted) return &one;
  }
  return nullptr;
}

Plan load_plan(const std::string& path, const std::string& with) {
  const json whole = parse(read_file(path), path);
  const Keys keys(whole, path,
                  {"name", "about", "waits", "options", "updates", "seeds", "arms", "grid", "baseline",
                   "measures", "context_evaluation", "test", "claims", "predictions"});
  Plan plan;
  plan.path = path;
  plan.name = keys.text("name");
  const bool plain = std::all_of(plan.name.begin(), plan.name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
  });
  if (plan.name.empty() || plan.name.front() == '.' || !plain)
    fail(path + ": name", in_quotes(plan.name), "letters, digits and dashes", "it names a folder");
  plan.about = keys.text_or("about", "");
  plan.waits = keys.text_or("waits", "");
  plan.options = keys.text_or("options", "");
  plan.with = with;
  if (!with.empty()) plan.options += " " + with;  // of an option that comes twice, the last counts

  const json& updates = keys.at("updates", "a whole number");
  if (!updates.is_number_unsigned() || updates.get<Index>() < 1)
    fail(path + ": updates", updates.dump(), "a whole number, at least 1");
  plan.updates = updates.get<Index>();
  for (const json& seed : keys.list("seeds")) {
    if (!seed.is_number_unsigned()) fail(path + ": seeds", seed.dump(), "whole numbers");
    plan.seeds.push_back(seed.get<std::uint64_t>());
    if (std::count(plan.seeds.begin(), plan.seeds.end(), plan.seeds.back()) > 1)
      fail(path + ": seeds", "twice " + seed.dump(), "each once", "the same run twice says nothing new");
  }
  if (plan.seeds.empty()) fail(path + ": seeds", "an empty list", "whole numbers");

  plan.arms = read_arms(whole, keys, path);
  for (Arm& arm : plan.arms) arm.config = config_of(plan, arm.options, arm.name);
  std::vector<std::string> names;
  std::vector<const Arm*> all;
  for (const Arm& arm : plan.arms) {
    names.push_back(arm.name);
    all.push_back(&arm);
  }
  plan.baseline = keys.text("baseline");
  if (!plan.arm(plan.baseline))
    fail(path + ": baseline: no arm '" + plan.baseline + "'", "", "", suggestion(plan.baseline, names));

  plan.context_evaluation = keys.flag("context_evaluation");
  plan.test = keys.flag("test");
  if (keys.has("measures")) {
    for (const json& measure : keys.list("measures")) {
      if (!measure.is_string()) fail(path + ": measures", measure.dump(), "names of measures");
      plan.measures.push_back(measure.get<std::string>());
      check_measure(plan, plan.measures.back(), all, path + ": measures");
    }
  } else {
    plan.measures = {"valid.loss", "valid.perplexity"};
  }
  if (plan.measures.empty()) fail(path + ": measures", "an empty list", "names of measures");
  if (keys.has("claims")) plan.claims = read_claims(whole["claims"], path);
  if (keys.has("predictions")) {
    std::size_t i = 0;
    bool chosen = false;
    for (const json& value : keys.list("predictions")) {
      plan.predictions.push_back(
          read_prediction(value, plan, path + ": predictions[" + std::to_string(i++) + "]"));
      chosen = chosen || value.contains("role");
    }
    plan.roles_chosen_afterwards = !chosen && !plan.predictions.empty();
    if (plan.roles_chosen_afterwards) choose_roles(plan.predictions);
    check_roles(plan.predictions, path);
  }
  return plan;
}

std::string result_name(const std::string& arm, std::uint64_t seed) {
  std::string name = arm;
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '-') c = '-';
  }
  return name + "-seed" + std::to_string(seed);
}

}  // namespace ef
