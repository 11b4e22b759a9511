// What is written is read back to the bit; what is not a valid file is refused, and never crashes the reader.
#include "train/files/safetensors.h"

#include <unistd.h>

#include <bit>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "engine/random.h"
#include "tests/helpers.h"
#include "train/files/files.h"

namespace ef {
namespace {

namespace fs = std::filesystem;
using Bits = std::conditional_t<sizeof(Real) == 4, std::uint32_t, std::uint64_t>;

struct Folder {
  std::string path = (fs::temp_directory_path() / "ef-safetensors-XXXXXX").string();
  Folder() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const std::string& name) const { return path + "/" + name; }
};

// A file with this header and so many bytes of data.
std::string file_of(const std::string& header, std::size_t data_bytes) {
  std::uint64_t length = header.size();
  std::string text(reinterpret_cast<const char*>(&length), sizeof length);
  return text + header + std::string(data_bytes, '\1');
}

// Unlike write_atomically, does not wait for the disk.
void put(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

std::vector<Real> values(const SafetensorsFile& file, const std::string& name) {
  std::size_t count = 1;
  for (const Index dim : file.shape(name)) count *= static_cast<std::size_t>(dim);
  std::vector<Real> out(count);
  file.read(name, out);
  return out;
}

TEST_CASE("safetensors: arrays and metadata come back to the bit") {
  const Folder folder;
  using Limits = std::numeric_limits<Real>;
  // Also a NaN that carries a payload, which arithmetic would not keep.
  const Bits payload = std::bit_cast<Bits>(Limits::quiet_NaN()) | 12345;
  const std::vector<Real> odd = {Limits::infinity(),   -Limits::infinity(), std::bit_cast<Real>(payload),
                                 Limits::denorm_min(), Real(-0.0),          Limits::max()};
  const Real one = 1;
  const std::map<std::string, std::string> metadata = {
      {"step", "100"}, {"", "empty key"}, {"text", "line\n\t\"quoted\" \\ \x01 \xC3\xA9 \xF0\x9F\x8C\xB1"}};
  write_safetensors(folder / "f",
                    {{"odd", {2, 3}, odd.data()},
                     {"empty", {4, 0}, nullptr},
                     {"number", {}, &one},
                     {"blocks.0/\xC3\xA9 \"\\", {1, 1, 1, 1, 1, 6}, odd.data()}},
                    metadata);

  const SafetensorsFile file(folder / "f");
  CHECK(file.metadata() == metadata);
  CHECK(file.names() == std::vector<std::string>{"odd", "empty", "number", "blocks.0/\xC3\xA9 \"\\"});
  for (const std::string name : {"odd", "blocks.0/\xC3\xA9 \"\\"})
    CHECK(std::memcmp(values(file, name).data(), odd.data(), sizeof(Real) * odd.size()) == 0);
  CHECK(file.shape("odd") == std::vector<Index>{2, 3});
  CHECK(file.shape("empty") == std::vector<Index>{4, 0});
  CHECK(values(file, "empty").empty());
  CHECK(file.shape("number").empty());
  CHECK(values(file, "number") == std::vector<Real>{1});
  CHECK(file.has("odd"));
  CHECK_FALSE(file.has("__metadata__"));

  const std::string bytes = read_file(folder / "f");
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  CHECK(length % 8 == 0);
  CHECK(bytes.size() == 8 + length + sizeof(Real) * 13);
}

TEST_CASE("safetensors: no flipped bit goes unnoticed where there is a checksum") {
  const Folder folder;
  const std::vector<Real> numbers = {1, -2, Real(0.5), 4, 5, 6, 7};
  const std::vector<ArrayView> arrays = {{"weight", {2, 2}, numbers.data()},
                                         {"bias", {3}, numbers.data() + 4}};
  write_safetensors(folder / "without", arrays, {{"step", "100"}});
  CHECK_FALSE(SafetensorsFile(folder / "without").verify());
  write_safetensors(folder / "with", arrays, {{"step", "100"}, {"a", "checksum"}}, Checksum::yes);
  const SafetensorsFile file(folder / "with");
  CHECK(file.verify());
  CHECK(file.metadata().at("checksum").size() == 16);
  CHECK(values(file, "bias") == std::vector<Real>{5, 6, 7});

  const std::string bytes = read_file(folder / "with");
  const auto notices = [&](const std::string& changed) {
    put(folder / "changed", changed);
    try {
      return !SafetensorsFile(folder / "changed").verify();  // its name was hit: it seems to have none
    } catch (const Error& error) {
      return contains(error.what(), folder / "changed");
    }
  };
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    std::string changed = bytes;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
    INFO("bit " << bit % 8 << " of byte " << bit / 8);
    CHECK(notices(changed));
  }
  // Two signs at once, two arrays exchanged, and what a lost block leaves.
  std::string changed = bytes;
  for (const std::size_t from_end : {sizeof(Real) + 1, 3 * sizeof(Real) + 1})
    changed[bytes.size() - from_end] = static_cast<char>(changed[bytes.size() - from_end] ^ 0x80);
  CHECK(notices(changed));
  changed = bytes.substr(0, bytes.size() - 2 * sizeof(Real)) + std::string(2 * sizeof(Real), '\0');
  CHECK(notices(changed));
}

TEST_CASE("safetensors: a file without arrays") {
  const Folder folder;
  write_safetensors(folder / "f", {});
  const SafetensorsFile file(folder / "f");
  CHECK(file.names().empty());
  CHECK(file.metadata().empty());
}

TEST_CASE("safetensors: other number types are converted or refused") {
  const Folder folder;
  std::string bytes = file_of(R"({"f":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                              R"("d":{"dtype":"F64","shape":[1],"data_offsets":[4,12]},)"
                              R"("i":{"dtype":"I32","shape":[2],"data_offsets":[12,20]},)"
                              R"("l":{"dtype":"I64","shape":[1],"data_offsets":[20,28]},)"
                              R"("b":{"dtype":"BF16","shape":[1],"data_offsets":[28,30]}})",
                              0);
  const auto append = [&](const auto& number) {
    bytes.append(reinterpret_cast<const char*>(&number), sizeof number);
  };
  append(1.5F);
  append(-2.25);
  append(std::array<std::int32_t, 2>{-7, 7});
  append(std::int64_t{1} << 40);
  append(std::uint16_t{0});
  put(folder / "f", bytes);

  const SafetensorsFile file(folder / "f");
  CHECK(values(file, "f") == std::vector<Real>{Real(1.5)});
  CHECK(values(file, "d") == std::vector<Real>{Real(-2.25)});
  CHECK(file.integers("i") == std::vector<std::int64_t>{-7, 7});
  CHECK(file.integers("l") == std::vector<std::int64_t>{std::int64_t{1} << 40});
  CHECK(file.dtype("b") == "BF16");
  check_throws([&] { values(file, "i"); }, {"I32", "F32 or F64"});
  check_throws([&] { values(file, "b"); }, {"BF16", "F32 or F64"});
  check_throws([&] { file.integers("f"); }, {"F32", "I32 or I64"});
}

TEST_CASE("safetensors: asking for what is not there") {
  const Folder folder;
  const std::vector<Real> numbers(6);
  write_safetensors(folder / "f", {{"weight", {2, 3}, numbers.data()}});
  const SafetensorsFile file(folder / "f");
  std::vector<Real> out(5);
  check_throws([&] { file.read("wieght", out); }, {"wieght", "did you mean weight?"});
  check_throws([&] { file.shape("bias"); }, {"no array bias", "known: weight"});
  check_throws([&] { file.read("weight", out); }, {"size of weight", "got 6", "expected 5"});
  check_throws([&] { SafetensorsFile(folder / "none"); }, {"cannot read", "/none"});
}

TEST_CASE("safetensors: what cannot be written leaves nothing behind") {
  const Folder folder;
  const Real one = 1;
  const std::string path = folder / "f";
  write_safetensors(path, {{"a", {}, &one}});
  const std::string before = read_file(path);
  check_throws([&] { write_safetensors(path, {{"b", {}, &one}, {"b", {}, &one}}); }, {"array b", "taken"});
  check_throws([&] { write_safetensors(path, {{"__metadata__", {}, &one}}); }, {"taken"});
  check_throws([&] { write_safetensors(path, {{"b", {-1}, &one}}); }, {"array b", "-1"});
  check_throws([&] { write_safetensors(path, {{"b\xff", {}, &one}}); }, {"not UTF-8"});
  check_throws([&] { write_safetensors(path, {}, {{"key", "\xff"}}); }, {"not UTF-8"});
  check_throws([&] { write_safetensors(path + "/below", {}); }, {"not a folder"});
  CHECK(read_file(path) == before);
  CHECK_FALSE(fs::exists(path + ".tmp"));
}

TEST_CASE("safetensors: every kind of bad file is told by name") {
  struct Case {
    std::string bytes, expected;
  };
  const auto entry = [](const std::string& rest, std::size_t size = 8) {
    return file_of("{\"w\":{" + rest + "}}", size);
  };
  const std::string w = R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  const std::string w2 = R"({"dtype":"F32","shape":[2],"data_offsets":)";
  const Case cases[] = {
      {"", "its size"},
      {"1234567", "its size"},
      {file_of("{}", 0).substr(0, 9), "length of its header"},
      {std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}"), "length of its header"},
      {file_of("", 0), "does not begin with {"},
      {file_of(" {}", 0), "does not begin with {"},
      {file_of("\xEF\xBB\xBF{}", 0), "does not begin with {"},
      {file_of(std::string("{}\0", 3), 0), "zero byte"},
      {file_of("{]", 0), "not JSON"},
      {file_of("{} x", 0), "not JSON"},
      {file_of("{\"a\xff\":1}", 0), "not JSON"},
      {file_of(std::string(100'000, '{'), 0), "not JSON"},
      {file_of("{\"w\":" + std::string(100'000, '['), 0), "nested too deeply"},
      {file_of("{\"w\":[[[[[{\"a\":{}}]]]]]}", 0), "nested too deeply"},
      {file_of("{\"w\":1}", 0), "entry w: got number, expected an object"},
      {file_of("{\"__metadata__\":{\"step\":1}}", 0), "metadata step: got number, expected a string"},
      {file_of("{\"__metadata__\":[]}", 0), "__metadata__: got array"},
      {file_of("{\"w\":" + w + ",\"w\":" + w + "}", 8), "two entries are named \"w\""},
      {file_of(R"({"__metadata__":{"a":"1","a":"2"}})", 0), "two entries are named \"a\""},
      {entry(R"("dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8])"),
       "two entries are named \"dtype\""},
      {entry(R"("shape":[2],"data_offsets":[0,8])"), "entry w has no dtype"},
      {entry(R"("dtype":"F32","data_offsets":[0,8])"), "entry w has no shape"},
      {entry(R"("dtype":"F32","shape":[2])"), "entry w has no data_offsets"},
      {entry(R"("dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1)"), "more than dtype"},
      {entry(R"("dtype":"F31","shape":[2],"data_offsets":[0,8])"), "its dtype: got \"F31\""},
      {entry(R"("dtype":32,"shape":[2],"data_offsets":[0,8])"), "its dtype: got 32"},
      {entry(R"("dtype":"F32","shape":2,"data_offsets":[0,8])"), "its shape: got 2"},
      {entry(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])"), "its shape: got [-2]"},
      {entry(R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])"), "its shape: got [2.0]"},
      {entry(R"("dtype":"F32","shape":[18446744073709551615,0],"data_offsets":[0,0])", 0), "its shape"},
      {entry(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8])"), "fits the memory"},
      {entry(R"("dtype":"F32","shape":[4611686018427387906],"data_offsets":[0,8])"), "its data_offsets"},
      {entry(R"("dtype":"F32","shape":[2],"data_offsets":[0])"), "its data_offsets: got [0]"},
      {entry(R"("dtype":"F32","shape":[2],"data_offsets":[0,8,8])"), "its data_offsets"},
      {entry(R"("dtype":"F32","shape":[2],"data_offsets":[-8,0])"), "its data_offsets"},
      {entry(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])"), "its data_offsets"},
      {entry(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])"), "its data_offsets"},
      {entry(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])", 7), "its data_offsets"},
      {entry(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])", 9),
       "the size of its data: got 9, expected 8"},
      {entry(R"("dtype":"F32","shape":[2],"data_offsets":[4,12])", 12), "leaves a hole"},
      {file_of("{\"w\":" + w + ",\"v\":" + w2 + "[12,20]}}", 20), "entry v leaves a hole"},
      {file_of("{\"w\":" + w + ",\"v\":" + w2 + "[4,12]}}", 12), "entry v overlaps"},
      {file_of("{\"w\":" + w + ",\"v\":" + w2 + "[0,8]}}", 8), "overlaps"},
      {file_of("{}", 1), "the size of its data: got 1, expected 0"},
  };
  const Folder folder;
  // What the reader says of these bytes.
  const auto complaint = [&](const std::string& bytes) {
    put(folder / "bad", bytes);
    return thrown_by([&] { SafetensorsFile(folder / "bad"); });
  };
  for (const Case& bad : cases) {
    const std::string said = complaint(bad.bytes);
    INFO("said: " << said << "\nexpected in it: " << bad.expected);
    CHECK(contains(said, "/bad is not a valid safetensors file"));
    CHECK(contains(said, bad.expected));
  }
  CHECK(complaint(file_of("{\"w\":" + w + "}   ", 8)) == "nothing thrown");
}

TEST_CASE("safetensors: damaged files are refused or read as valid ones, and never crash the reader") {
  const Folder folder;
  const std::vector<Real> numbers(40, Real(0.5));
  write_safetensors(folder / "good",
                    {{"a", {2, 3}, numbers.data()}, {"b", {0, 7}, nullptr}, {"c", {5, 8}, numbers.data()}},
                    {{"step", "12"}});
  const std::string good = read_file(folder / "good");
  const std::size_t header_end = good.size() - sizeof(Real) * 46;
  int refused = 0, accepted = 0;
  for (std::uint64_t trial = 0; trial < 1000; ++trial) {
    const Random random{trial, stream_of(Purpose::test), 0};
    std::string bytes = good;
    if (trial % 4 == 0) bytes.resize(random.below(0, good.size()));
    if (trial % 4 == 1) bytes.insert(random.below(0, header_end), 1, static_cast<char>(random.below(1, 256)));
    if (trial % 4 >= 2)
      for (std::uint64_t flip = 0; flip <= trial % 3; ++flip)
        bytes[random.below(2 * flip + 2, trial % 4 == 2 ? header_end : bytes.size())] =
            static_cast<char>(random.below(2 * flip + 3, 256));
    put(folder / "f", bytes);
    try {
      const SafetensorsFile file(folder / "f");
      for (const std::string& name : file.names())
        if (file.dtype(name) == "F32" || file.dtype(name) == "F64") values(file, name);
      ++accepted;
    } catch (const Error&) {
      ++refused;
    }
  }
  CHECK(refused > 600);
  CHECK(accepted > 50);  // other numbers, or a changed letter of a name
  CHECK(refused + accepted == 1000);
}

}  // namespace
}  // namespace ef
