// The npy format, version 1.0 (NumPy Enhancement Proposal 1):
//   \x93NUMPY, bytes 1 and 0, the header's length in 2 bytes, the header, the numbers.
// The header is a Python dictionary, padded by spaces and ended by a line end so that the numbers begin at a
// multiple of 64 bytes.
#include "train/files/npy.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <string_view>

#include "engine/error.h"
#include "train/files/files.h"

namespace ef {

static_assert(std::endian::native == std::endian::little, "numbers are copied as they lie in memory");

namespace {

constexpr std::size_t before_header = 10;  // bytes: the magic ones, the version, the header's length
constexpr std::size_t most_axes = 32;      // NumPy reads no more

}  // namespace

void write_npy(const std::string& path, const std::vector<Index>& shape, std::span<const float> values) {
  std::size_t size = 1;
  std::string sizes;  // as a Python tuple: "()", "(3,)", "(3, 4,)"
  bool fits = shape.size() <= most_axes;
  for (const Index dim : shape) {
    fits = fits && dim >= 0 && !__builtin_mul_overflow(size, static_cast<std::size_t>(dim), &size);
    if (!sizes.empty()) sizes += ' ';
    sizes += std::to_string(dim);
    sizes += ',';
  }
  if (!fits || size != values.size()) {
    fail("cannot write " + path + ": shape", "(" + sizes + ")",
         "one of " + std::to_string(values.size()) + " numbers");
  }

  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + sizes + "), }";
  const std::size_t begin = (before_header + header.size() + 1 + 63) / 64 * 64;
  header.resize(begin - before_header - 1, ' ');
  header += '\n';
  const std::string magic{'\x93',
                          'N',
                          'U',
                          'M',
                          'P',
                          'Y',
                          1,
                          0,
                          static_cast<char>(header.size() % 256),
                          static_cast<char>(header.size() / 256)};
  const std::array<std::string_view, 3> parts{
      magic, header, {reinterpret_cast<const char*>(values.data()), values.size_bytes()}};
  write_atomically(path, parts);
}

NpyArray read_npy(const std::string& path) {
  const std::string bytes = read_file(path);
  const auto damaged = [&](const char* what) { fail(path, what, "a float32 array as numpy.save writes it"); };
  if (!bytes.starts_with(std::string_view("\x93NUMPY\x01\x00", 8)) || bytes.size() < before_header)
    damaged("another kind of file");
  const std::size_t length =
      static_cast<unsigned char>(bytes[8]) + std::size_t{256} * static_cast<unsigned char>(bytes[9]);
  if (length > bytes.size() - before_header) damaged("a header that is cut off");
  const std::string_view header = std::string_view(bytes).substr(before_header, length);
  const std::string_view numbers = std::string_view(bytes).substr(before_header + length);
  // What follows a key.
  const auto entry = [&](std::string_view key) {
    const std::size_t at = header.find(key);
    if (at == std::string_view::npos) damaged("a header without an entry");
    return header.substr(at + key.size());
  };
  if (!entry("'descr': ").starts_with("'<f4'")) damaged("numbers of another type");
  if (!entry("'fortran_order': ").starts_with("False")) damaged("contiguous columns");

  NpyArray array;
  std::string_view sizes = entry("'shape': (");
  const std::size_t end_of_sizes = sizes.find(')');
  if (end_of_sizes == std::string_view::npos) damaged("a shape that does not end");
  sizes = sizes.substr(0, end_of_sizes);
  std::size_t size = 1;
  while (!sizes.empty()) {
    Index dim = -1;
    const auto [end, error] = std::from_chars(sizes.data(), sizes.data() + sizes.size(), dim);
    if (error != std::errc{} || dim < 0 || array.shape.size() == most_axes ||
        __builtin_mul_overflow(size, static_cast<std::size_t>(dim), &size))
      damaged("a shape that cannot be");
    array.shape.push_back(dim);
    sizes.remove_prefix(static_cast<std::size_t>(end - sizes.data()));
    sizes.remove_prefix(std::min(sizes.find_first_not_of(", "), sizes.size()));
  }
  if (numbers.size() % sizeof(float) != 0 || numbers.size() / sizeof(float) != size)
    damaged("more or fewer numbers than its shape has");
  array.values.resize(size);
  if (size > 0) std::memcpy(array.values.data(), numbers.data(), numbers.size());
  return array;
}

}  // namespace ef
