#include "train/options/fields.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>
#include <type_traits>

#include "engine/error.h"
#include "engine/nearest.h"

namespace ef {
namespace {

template <class Number>
Field number_field(const std::string& group, const std::string& name, Number& value, const std::string& help,
                   const char* expected) {
  const auto get = [&value] {
    char text[32];
    return std::string(text, std::to_chars(text, text + sizeof text, value).ptr);
  };
  const auto set = [&value, name, expected](const std::string& text) {
    Number parsed{};
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, parsed);
    bool right = error == std::errc() && stop == end;
    if constexpr (std::is_floating_point_v<Number>) right = right && std::isfinite(parsed);
    if (!right) fail("--" + name, in_quotes(text), expected);
    value = parsed;
  };
  return {group, name, help, false, false, get, set};
}

}  // namespace

void FieldList::add(const std::string& name, Index& value, const std::string& help) {
  list.push_back(number_field(group, name, value, help, "a whole number"));
}

void FieldList::add(const std::string& name, std::uint64_t& value, const std::string& help) {
  list.push_back(number_field(group, name, value, help, "a whole number, not negative"));
}

void FieldList::add(const std::string& name, double& value, const std::string& help) {
  list.push_back(number_field(group, name, value, help, "a number"));
}

void FieldList::add(const std::string& name, bool& value, const std::string& help) {
  const auto set = [&value, name](const std::string& text) {
    if (text != "true" && text != "false") fail("--" + name, in_quotes(text), "true or false");
    value = text == "true";
  };
  list.push_back(
      {group, name, help, true, false, [&value] { return std::string(value ? "true" : "false"); }, set});
}

void FieldList::add(const std::string& name, std::string& value, const std::string& help) {
  list.push_back({group, name, help, false, true, [&value] { return value; },
                  [&value](const std::string& text) { value = text; }});
}

void FieldList::add(const std::string& name, std::string& value, const std::string& help,
                    const std::vector<std::string>& names) {
  const auto set = [&value, name, names](const std::string& text) {
    check_is_one_of(name, text, names);
    value = text;
  };
  list.push_back({group, name, help + ": " + list_of(names), false, true, [&value] { return value; }, set});
  list.back().names = names;
}

namespace {

// An option of siblings, as far as it depends on which of them is chosen.
class Declared {
 public:
  Declared(const FieldList::Siblings& siblings, const std::string& name)
      : part_(siblings.part), chosen_(siblings.chosen), none_idle_(siblings.none_idle) {
    for (const SiblingEntry& sibling : siblings.entries)
      for (const Declaration& option : sibling.options)
        if (option.name == name) owners_.push_back({sibling.name, option, sibling.idle});
  }

  // What the chosen sibling says of it, or else the first that has it.
  const Declaration& declaration() const {
    const Owner* one = owner();
    return one ? one->option : owners_.front().option;
  }
  bool chosen() const { return owner() != nullptr; }
  // The values that any of them takes, where they are names.
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    const auto add = [&](const std::string& name) {
      if (std::find(all.begin(), all.end(), name) == all.end()) all.push_back(name);
    };
    for (const Owner& one : owners_) {
      for (const std::string& name : one.option.names) add(name);
      if (!one.option.siblings) continue;
      for (const SiblingEntry& sibling : one.option.siblings()) add(sibling.name);
    }
    return all;
  }
  std::string idle(const OptionValues& values) const {
    const Owner* one = owner();
    if (!one) {
      const std::vector<std::string> chosen = chosen_();
      return chosen.empty() ? none_idle_() : part_ + " is " + chosen.front();
    }
    if (one->idle && !one->idle(values).empty()) return one->idle(values);
    return one->option.idle ? one->option.idle(values) : std::string();
  }
  // "of locater: of (tr W - c)^2"
  std::string help() const {
    const bool alike = std::all_of(owners_.begin(), owners_.end(), [&](const Owner& one) {
      return one.option.usual == owners_.front().option.usual;
    });
    std::string text, names;
    for (std::size_t i = 0; i < owners_.size(); ++i) {
      names += (names.empty() ? "" : ", ") + owners_[i].name;
      // Neighbours that say the same are told together.
      if (i + 1 < owners_.size() && owners_[i + 1].option.help == owners_[i].option.help &&
          owners_[i + 1].option.usual == owners_[i].option.usual)
        continue;
      text += (text.empty() ? "of " : "; of ") + names + ": " + owners_[i].option.help;
      if (owners_[i].option.siblings) {
        std::vector<std::string> known;
        for (const SiblingEntry& sibling : owners_[i].option.siblings()) known.push_back(sibling.name);
        text += ": " + list_of(known);
      }
      if (!alike) text += " (" + owners_[i].option.usual + ")";
      names.clear();
    }
    return text;
  }

 private:
  struct Owner {
    std::string name;
    Declaration option;
    IdleReason idle;
  };
  const Owner* owner() const {
    for (const std::string& name : chosen_())
      for (const Owner& one : owners_)
        if (one.name == name) return &one;
    return nullptr;
  }

  std::string part_;
  FieldList::Chosen chosen_;
  std::function<std::string()> none_idle_;
  std::vector<Owner> owners_;
};

}  // namespace

void FieldList::add_options(const Siblings& siblings, OptionValues& values) {
  const std::string heading = "--" + siblings.part;  // the parser adds "options"
  for (const SiblingEntry& sibling : siblings.entries) {
    for (const Declaration& declared : sibling.options) {
      const std::string& name = declared.name;
      if (const Field* other = find(name)) {
        if (other->group == heading) continue;  // another sibling's, too
        fail("option --" + name + " of " + heading + " " + sibling.name, "a name that is taken",
             "another one");
      }
      const auto option = std::make_shared<const Declared>(siblings, name);  // its functions share it
      const auto get = [option, &values, name] {
        const std::string* set = values.find(name);
        return set ? *set : option->declaration().usual;
      };
      Field field;
      field.group = heading;
      field.name = name;
      field.help = option->help();
      field.is_flag = declared.is_flag;
      field.is_text = declared.is_text;
      field.get = get;
      field.set = [option, &values, name](const std::string& text) {
        values.set(name, option->declaration().checked(text));
      };
      field.sibling = SiblingOption{siblings.root, [option] { return option->chosen(); },
                                    [&values, name] { return values.find(name) != nullptr; },
                                    [&values, name] { values.unset(name); },
                                    [option, &values] { return option->idle(values); }};
      field.names = option->names();
      list.push_back(field);
      if (declared.siblings) {
        const auto chosen = [option, get] {
          return option->chosen() ? std::vector<std::string>{get()} : std::vector<std::string>();
        };
        const auto none_idle = [option, &values] { return option->idle(values); };
        add_options({siblings.root, name, declared.siblings(), chosen, none_idle}, values);
      }
    }
  }
}

const Field* FieldList::find(const std::string& name) const {
  for (const Field& field : list)
    if (field.name == name) return &field;
  return nullptr;
}

void FieldList::set(const std::string& name, const std::string& text) const {
  if (const Field* field = find(name)) return field->set(text);
  std::vector<std::string> names;
  for (const Field& field : list) names.push_back(field.name);
  fail("no option " + name, "", "", suggestion(name, names));
}

}  // namespace ef
