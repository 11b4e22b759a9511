// The nearest match of a mistyped name.
#pragma once
#include <string>
#include <vector>

namespace ef {

// How many letters must be inserted, deleted, replaced or swapped with a neighbour to turn a into b
// (the restricted Damerau-Levenshtein distance).
std::size_t edit_distance(const std::string& a, const std::string& b);

// The candidate that is fewest edits away, if these are at most a third of its letters, or one; else "".
std::string nearest(const std::string& name, const std::vector<std::string>& candidates);

// "did you mean NEAREST?", or "known: a, b, c".
std::string suggestion(const std::string& name, const std::vector<std::string>& candidates);

}  // namespace ef
