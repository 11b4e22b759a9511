// Scripts with which a shell completes a program's options, and their values where these are names.
#pragma once
#include <string>

#include "train/options/fields.h"

namespace ef {

// shell: "bash" or "zsh"; Error for another. words: whether the program takes words that are no options,
// which are completed as files.
std::string completion_script(const std::string& shell, const std::string& program, const FieldList& fields,
                              bool words);

}  // namespace ef
