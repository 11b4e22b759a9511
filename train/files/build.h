// What this program was built from, and how.
#pragma once
#include <string>

namespace ef {

// The version of the code, as git describes it.
const char* version();
// A fingerprint of the sources of this program, as far as they decide what a run gives. Two builds of one
// version that is "-dirty" differ in it where their code does.
const char* sources();
// "g++ 12.2.0"
std::string compiler();
// For which processors the code was compiled: "native" (those like the one that compiled it), "portable" (all
// of their kind), "sanitize".
const char* build_kind();

}  // namespace ef
