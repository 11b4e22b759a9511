#include "train/options/command_line.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cxxopts.hpp>
#include <new>
#include <sstream>

#include "engine/error.h"
#include "engine/nearest.h"
#include "train/files/machine.h"
#include "train/options/completion.h"
#include "train/text/text.h"

namespace ef {
namespace {

constexpr const char* exit_statuses =
    "\nExit status: 0 well; 2 a mistake in what was asked for, or of the system; 3 numbers that are not "
    "finite;\n130 after Ctrl-C (143 after SIGTERM, 129 after SIGHUP).\n";
// A dash too few: the parser would read -heads as the short options h, e, a, d and s, and show the help.
void refuse_single_dashes(const FieldList& fields, const std::vector<std::string>& names, int argc,
                          char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--") return;
    if (word.starts_with("--")) {
      const Field* field = fields.find(word.substr(2));
      if (field && !field->is_flag) ++i;  // its value, which may begin with a dash
      continue;
    }
    if (word.size() < 2 || word[0] != '-' || word == "-h") continue;
    const std::string name = "-" + word.substr(0, word.find('='));
    const std::string hint = nearest(name, names);
    fail("no option " + in_quotes(word), "", "", hint.empty() ? "see --help" : "did you mean " + hint + "?");
  }
}

}  // namespace

std::map<std::string, std::string> parse_command_line(const std::string& program,
                                                      const std::string& description, const FieldList& fields,
                                                      int argc, char** argv,
                                                      std::vector<std::string>* words) {
  cxxopts::Options parser(program, description + "\n");
  parser.set_width(110);
  std::vector<std::string> groups, names = {"--help", "--version", "--completion"};
  for (const Field& option : fields.list) {
    names.push_back("--" + option.name);
    if (std::find(groups.begin(), groups.end(), option.group) == groups.end()) groups.push_back(option.group);
    const auto value = option.is_flag
                           ? cxxopts::value<bool>()->default_value(option.get())->implicit_value("true")
                           : cxxopts::value<std::string>();
    if (!option.is_flag && !option.get().empty()) value->default_value(option.get());
    parser.add_options(option.group)(option.name, option.help, value, option.is_flag ? "" : "X");
  }
  parser.add_options(groups.front())("h,help", "this text")(
      "version", "version, sources, BLAS and compiler of this program")(
      "completion", "print a script that completes options in a shell: bash, zsh",
      cxxopts::value<std::string>(), "X");
  parser.allow_unrecognised_options();

  refuse_single_dashes(fields, names, argc, argv);
  try {
    const auto result = parser.parse(argc, argv);
    if (result.count("help") || result.count("version") || result.count("completion")) {
      const std::string name = program.substr(0, program.find(' '));
      std::string text = version_text(name);
      if (result.count("completion"))
        text = completion_script(result["completion"].as<std::string>(), name, fields, words != nullptr);
      if (result.count("help")) text = parser.help(groups) + exit_statuses;
      std::fputs(text.c_str(), stdout);
      std::exit(0);
    }
    for (const std::string& word : result.unmatched()) {
      const std::string name = word.substr(0, word.find('='));
      if (name.starts_with("-"))
        fail("no option " + name, "", "",
             nearest(name, names).empty() ? "see --help" : suggestion(name, names));
      if (words) {
        words->push_back(word);
        continue;
      }
      fail("command line", in_quotes(word), "an option that begins with --",
           "a flag takes its value as --flag=false");
    }
    std::map<std::string, std::string> given;
    for (const Field& option : fields.list) {
      if (!result.count(option.name)) continue;
      if (option.is_flag)
        given[option.name] = result[option.name].as<bool>() ? "true" : "false";
      else
        given[option.name] = result[option.name].as<std::string>();
    }
    return given;
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {  // the names of cxxopts' own exceptions differ between its versions
    fail(error.what(), "", "", "see --help");
  }
}

std::map<std::string, std::string> parse_line(const std::string& who, const FieldList& fields,
                                              const std::string& line) {
  std::vector<std::string> words = {who};
  std::istringstream stream(line);
  for (std::string word; stream >> word;) words.push_back(word);
  std::vector<char*> argv;
  for (std::string& word : words) {
    // These would end the program.
    if (word == "--help" || word == "-h" || word == "--version" || word.starts_with("--completion"))
      fail(who, word, "options of a run");
    argv.push_back(word.data());
  }
  try {
    return parse_command_line(who, "", fields, static_cast<int>(argv.size()), argv.data());
  } catch (const Error& error) {
    fail(who + ": " + error.what());
  }
}

int run_program(const std::string& program, const std::function<void()>& body) {
  const auto report = [&](const std::string& text, int status) {
    std::fflush(stdout);
    std::fprintf(stderr, "%s: %s\n", program.c_str(), printable(text).c_str());
    return status;
  };
  try {
    body();
    return 0;
  } catch (const NumericalError& error) {
    return report(error.what(), 3);
  } catch (const std::bad_alloc&) {
    return report("out of memory (smaller --batch, or --micro-batch 1?)", 2);
  } catch (const std::exception& error) {
    return report(error.what(), 2);
  }
}

}  // namespace ef
