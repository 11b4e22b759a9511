// Arrays as NumPy reads them: numpy.load("file.npy").
#pragma once
#include <span>
#include <string>
#include <vector>

#include "engine/real.h"

namespace ef {

// Writes a float32 array, rows contiguous, whole or not at all (train/files/files.h). An empty shape is a
// single number. Error if the shape does not fit the numbers, or the file cannot be written.
void write_npy(const std::string& path, const std::vector<Index>& shape, std::span<const float> values);

struct NpyArray {
  std::vector<Index> shape;
  std::vector<float> values;
};

// Reads what write_npy() writes, and what NumPy saves of a float32 array with contiguous rows. Error if the
// file is missing, damaged, or holds anything else.
NpyArray read_npy(const std::string& path);

}  // namespace ef
