// The npy format, version 1.0 (NumPy Enhancement Proposal 1):
//   \x93NUMPY, bytes 1 and 0, the header's length in 2 bytes, the header, the numbers.
// The header is a Python dictionary, padded by spaces and ended by a line end so that the numbers begin at a
// multiple of 64 bytes.
#include "train/npy.h"

#include <array>
#include <bit>
#include <string_view>

#include "engine/error.h"
#include "train/files.h"

namespace ef {

static_assert(std::endian::native == std::endian::little, "numbers are copied as they lie in memory");

void write_npy(const std::string& path, const std::vector<Index>& shape, std::span<const float> values) {
  std::size_t size = 1;
  std::string sizes;               // as a Python tuple: "()", "(3,)", "(3, 4,)"
  bool fits = shape.size() <= 32;  // NumPy reads no more axes
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
  constexpr std::size_t before = 10;  // bytes in front of the header
  const std::size_t begin = (before + header.size() + 1 + 63) / 64 * 64;
  header.resize(begin - before - 1, ' ');
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

}  // namespace ef
