#include "train/options/completion.h"

#include <algorithm>
#include <cctype>

#include "engine/option.h"

namespace ef {
namespace {

// The options that every program has, beside its own.
FieldList with_those_of_all(const FieldList& fields) {
  FieldList all = fields;
  const auto add = [&](const char* name, const char* help, bool is_flag, std::vector<std::string> names) {
    Field& field = all.list.emplace_back();
    field.name = name;
    field.help = help;
    field.is_flag = is_flag;
    field.is_text = !is_flag;
    field.names = std::move(names);
  };
  add("help", "this text", true, {});
  add("version", "version, sources, BLAS and compiler", true, {});
  add("completion", "print a completion script", false, {"bash", "zsh"});
  return all;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

// In single quotes, whatever it has.
std::string quoted(const std::string& text) {
  std::string result(1, '\'');
  for (const char c : text) {
    if (c == '\'')
      result.append("'\\''");
    else
      result.push_back(c);
  }
  result.push_back('\'');
  return result;
}

// The name of a shell function.
std::string function_name(const std::string& program) {
  std::string name = "_eigenformer_";
  for (const char c : program) name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
}

std::string bash_script(const std::string& program, const FieldList& fields) {
  const std::string function = function_name(program);
  std::vector<std::string> names, numbers;
  std::string cases;
  for (const Field& field : fields.list) {
    const std::string option = std::string("--").append(field.name);
    names.push_back(option);
    if (field.is_flag) continue;
    if (!field.names.empty())
      cases += "    " + option + ") words=" + quoted(joined(field.names)) + " ;;\n";
    else if (!field.is_text)
      numbers.push_back(option);
  }
  if (!numbers.empty()) {
    std::string patterns;
    for (const std::string& option : numbers) patterns += (patterns.empty() ? "" : "|") + option;
    cases += "    " + patterns + ") return ;;\n";
  }
  // Text that is none of a few names may be a path: -o default completes files where there is no match. Bash
  // splits --norm=rms into three words.
  return "# Completion of " + program + " in bash: source <(" + program +
         " --completion bash)\n"
         "# or keep it as ~/.local/share/bash-completion/completions/" +
         program + "\n" + function +
         "() {\n"
         "  local current=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD-1]} words=\n"
         "  COMPREPLY=()\n"
         "  if [[ $current == = ]]; then current=\n"
         "  elif [[ $option == = && $COMP_CWORD -gt 1 ]]; then option=${COMP_WORDS[COMP_CWORD-2]}\n"
         "  fi\n"
         "  case $option in\n" +
         cases + "    *) [[ $current == -* ]] && words=" + quoted(joined(names)) +
         " ;;\n"
         "  esac\n"
         "  local IFS=$' \\t\\n'\n"
         "  set -o noglob\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
         "  set +o noglob\n"
         "}\n"
         "complete -o default -F " +
         function + " " + program + "\n";
}

// As it may stand in --option[...]: colons and brackets mean something there.
std::string described(const std::string& help) {
  std::string result;
  for (const char c : help.substr(0, help.find('\n'))) {
    if (c == ':' || c == '[' || c == ']' || c == '\\') result += '\\';
    result += c;
  }
  return result;
}

std::string zsh_script(const std::string& program, const FieldList& fields, bool words) {
  const std::string function = function_name(program);
  std::string specs;
  for (const Field& field : fields.list) {
    std::string spec = std::string("--").append(field.name);
    if (!field.is_flag) spec += "=";
    spec.append("[").append(described(field.help)).append("]");
    if (!field.is_flag) {
      spec += ":" + field.name + ":";
      if (!field.names.empty())
        spec.append("(").append(joined(field.names)).append(")");
      else if (field.is_text)
        spec += "_files";
    }
    specs += " \\\n    " + quoted(spec);
  }
  if (words) specs += " \\\n    '*:file:_files'";
  // As a file _NAME in fpath it is called, as text it makes itself known.
  return "#compdef " + program + "\n# Completion of " + program + " in zsh: source <(" + program +
         " --completion zsh)\n# or keep it as _" + program + " in a folder of $fpath\n" + function +
         "() {\n  _arguments" + specs + "\n}\nif [ \"$funcstack[1]\" = \"_" + program + "\" ]; then\n  " +
         function + " \"$@\"\nelse\n  compdef " + function + " " + program + "\nfi\n";
}

}  // namespace

std::string completion_script(const std::string& shell, const std::string& program, const FieldList& fields,
                              bool words) {
  check_is_one_of("completion", shell, {"bash", "zsh"});
  const FieldList all = with_those_of_all(fields);
  return shell == "bash" ? bash_script(program, all) : zsh_script(program, all, words);
}

}  // namespace ef
