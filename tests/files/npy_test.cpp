// Arrays come back as they were written, and no damaged file is taken for an array.
#include "train/files/npy.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/helpers.h"
#include "train/files/files.h"

namespace ef {
namespace {

namespace fs = std::filesystem;

struct File {
  std::string folder = (fs::temp_directory_path() / "ef-npy-XXXXXX").string(), path;
  File() {
    REQUIRE(::mkdtemp(folder.data()) != nullptr);
    path = folder + "/a.npy";
  }
  ~File() { fs::remove_all(folder); }
  void put(const std::string& bytes) const { std::ofstream(path, std::ios::binary) << bytes; }
};

// A file of version 1.0 with this header, unpadded.
std::string npy(const std::string& header, std::size_t bytes) {
  std::string file("\x93NUMPY\x01\x00", 8);
  file += static_cast<char>(header.size() % 256);
  file += static_cast<char>(header.size() / 256);
  file += header;
  file.append(bytes, '\0');
  return file;
}

// What numpy.load reads: checked by hand with NumPy 1.24.
TEST_CASE("npy: header and numbers, byte by byte", "[npy]") {
  const File file;
  const auto header_of = [&](const std::vector<Index>& shape, const std::vector<float>& values) {
    write_npy(file.path, shape, values);
    const std::string bytes = read_file(file.path);
    CHECK(bytes.substr(0, 8) == std::string("\x93NUMPY\x01\x00", 8));
    const auto length = static_cast<std::size_t>(static_cast<unsigned char>(bytes.at(8))) +
                        256 * static_cast<std::size_t>(static_cast<unsigned char>(bytes.at(9)));
    CHECK((10 + length) % 64 == 0);
    CHECK(bytes.at(9 + length) == '\n');
    CHECK(bytes.size() == 10 + length + values.size() * sizeof(float));
    const auto* numbers = reinterpret_cast<const char*>(values.data());
    CHECK(std::equal(bytes.begin() + static_cast<Index>(10 + length), bytes.end(), numbers));
    return bytes.substr(10, bytes.find('}') + 1 - 10);
  };
  CHECK(header_of({2, 3}, {1, 2, 3, 4, 5, -6.5f}) ==
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3,), }");
  CHECK(header_of({2}, {1, 2}) == "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }");
  CHECK(header_of({}, {7}) == "{'descr': '<f4', 'fortran_order': False, 'shape': (), }");
  CHECK(header_of({0, 4}, {}) == "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4,), }");
  CHECK(header_of(std::vector<Index>(32, 1), {1}).size() > 128);
  const std::vector<float> six(6);
  check_throws([&] { write_npy(file.path, {2, 2}, six); }, {"a.npy", "(2, 2,)", "6 numbers"});
  check_throws([&] { write_npy(file.path, {-2, -3}, six); }, {"(-2, -3,)"});
  check_throws([&] { write_npy(file.path, {Index(1) << 40, Index(1) << 40}, six); }, {"6 numbers"});
}

TEST_CASE("npy: what is written is read again", "[npy]") {
  const File file;
  const std::vector<std::vector<Index>> shapes = {{}, {6}, {2, 3}, {1, 2, 1, 3}, {0}, {4, 0, 2}};
  for (const std::vector<Index>& shape : shapes) {
    Index size = 1;
    for (const Index dim : shape) size *= dim;
    std::vector<float> values;
    for (Index i = 0; i < size; ++i) values.push_back(0.5f - float(i) * 1e10f);
    write_npy(file.path, shape, values);
    const NpyArray array = read_npy(file.path);
    CHECK(array.shape == shape);
    CHECK(array.values == values);
  }
}

TEST_CASE("npy: headers of NumPy and of others", "[npy]") {
  const File file;
  const auto reads = [&](const std::string& header, std::size_t bytes) {
    file.put(npy(header, bytes));
    return thrown_by([&] { read_npy(file.path); }) == "nothing thrown";
  };
  CHECK(reads("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 24));
  CHECK(reads("{'descr': '<f4', 'fortran_order': False, 'shape': (), }\n", 4));
  CHECK_FALSE(reads("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }\n", 24));
  CHECK_FALSE(reads("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }\n", 24));
  CHECK_FALSE(reads("{'descr': '<f4', 'fortran_order': False}\n", 4));
  for (const char* shape : {"(2, 4)", "(2,)", "(-2, -3)", "(x,)", "(2 x 3)", "(99999999999999999999,)",
                            "(4294967296, 4294967296, 4294967296)", "(6", ""})
    CHECK_FALSE(reads("{'descr': '<f4', 'fortran_order': False, 'shape': " + std::string(shape), 24));
  CHECK_FALSE(reads("", 0));
}

TEST_CASE("npy: a file cut off anywhere, or with bytes behind, is an error", "[npy]") {
  const File file;
  check_throws([&] { read_npy(file.path); }, {"cannot read", "a.npy"});
  write_npy(file.path, {2, 2}, std::vector<float>{1, 2, 3, 4});
  const std::string whole = read_file(file.path);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    file.put(whole.substr(0, size));
    check_throws([&] { read_npy(file.path); }, {"a.npy", "expected a float32 array"});
  }
  file.put(whole + '\0');
  check_throws([&] { read_npy(file.path); }, {"more or fewer numbers"});
}

}  // namespace
}  // namespace ef
