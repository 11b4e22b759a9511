// The file format of weights: named arrays in one file, which many other programs read.
//   8 bytes  N, little endian
//   N bytes  JSON: {"__metadata__": {"key": "value"}, "NAME": {"dtype": "F32", "shape": [2, 3],
//            "data_offsets": [0, 24]}, ...}, padded with spaces so that N is a multiple of 8
//   the rest the numbers, row by row, little endian, without gaps
// https://github.com/huggingface/safetensors
#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "engine/real.h"
#include "train/files/files.h"

namespace ef {

// An array to be written; its numbers stay where they are.
struct ArrayView {
  std::string name;
  std::vector<Index> shape;  // [] is a single number
  const Real* data = nullptr;
};

// Writes the arrays in this order, as F32 (F64 where Real is double), atomically. Error if a name occurs
// twice, a size is negative, a text is not UTF-8, or the file cannot be written. A checksum, if one is
// wanted, is one more metadata, "checksum": that of the whole file with these 16 digits as zeros.
enum class Checksum { no, yes };
void write_safetensors(const std::string& path, const std::vector<ArrayView>& arrays,
                       const std::map<std::string, std::string>& metadata = {},
                       Checksum checksum = Checksum::no);

// A file that stays open; its numbers are read when they are asked for. Files come from strangers: what is
// not exactly as the format says is an Error.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::string& path);

  // Reads the whole file: false if it has no checksum, Error if it has one that is not its own.
  bool verify() const;

  const std::vector<std::string>& names() const { return names_; }  // in the order of the data
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  bool has(const std::string& name) const { return entries_.contains(name); }
  const std::vector<Index>& shape(const std::string& name) const { return find(name).shape; }
  const std::string& dtype(const std::string& name) const { return find(name).dtype; }

  // The numbers of an F32 or F64 array. Error if there is no such array, it is of another kind, or `out` has
  // another size.
  void read(const std::string& name, std::span<Real> out) const;
  // The numbers of an I32 or I64 array.
  std::vector<std::int64_t> integers(const std::string& name) const;

 private:
  struct Entry {
    std::string dtype;
    std::vector<Index> shape;
    std::size_t count = 1;           // how many numbers
    std::size_t begin = 0, end = 0;  // where they lie, in bytes from the beginning of the data
  };
  const Entry& find(const std::string& name) const;
  template <class Stored, class Number>
  void convert(const Entry& entry, std::span<Number> out) const;

  std::string path_;
  InputFile file_;
  std::size_t data_begin_ = 0;  // where in the file the data begins
  std::map<std::string, Entry> entries_;
  std::vector<std::string> names_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace ef
