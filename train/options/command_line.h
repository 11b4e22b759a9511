// Command lines: options by group, help with defaults, mistakes answered with what was meant.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "train/options/fields.h"

namespace ef {

// The options that were given, by name, as text. The fields' present values are shown as defaults. Prints
// and exits with 0 on --help or -h, --version, and --completion SHELL. Words that are no options go to
// `words`. Error for an unknown option (with the nearest name), a missing value, or a stray word where
// `words` is nullptr.
std::map<std::string, std::string> parse_command_line(const std::string& program,
                                                      const std::string& description, const FieldList& fields,
                                                      int argc, char** argv,
                                                      std::vector<std::string>* words = nullptr);

// The same for a line of text, as in --against "--norm rms": words between white space. Errors begin with
// `who`.
std::map<std::string, std::string> parse_line(const std::string& who, const FieldList& fields,
                                              const std::string& line);

// Runs a program: turns exceptions into a line on stderr and an exit status: 0 well, 2 a mistake of the user
// (Error) or of the system, 3 numbers that are not finite (NumericalError). (What a signal ends has its own:
// train/files/stop.h.)
int run_program(const std::string& program, const std::function<void()>& body);

}  // namespace ef
