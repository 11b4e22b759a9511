#include "train/files/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <tuple>
#include <type_traits>

#include "engine/error.h"
#include "engine/nearest.h"
#include "train/files/json.h"

namespace ef {
namespace {

using json = nlohmann::json;

static_assert(std::endian::native == std::endian::little, "numbers are copied as they lie in memory");

constexpr const char* real_dtype = std::is_same_v<Real, float> ? "F32" : "F64";
constexpr std::uint64_t largest_header = 100'000'000;  // as in the reference implementation

// Bytes a number takes. Files may hold all of these; only some can be read here.
const std::map<std::string, std::size_t> dtype_sizes = {
    {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1}, {"I16", 2}, {"U16", 2}, {"F16", 2},
    {"BF16", 2}, {"I32", 4}, {"U32", 4}, {"F32", 4},     {"F64", 8},     {"I64", 8}, {"U64", 8}};

// False if the product does not fit.
bool multiply(std::size_t& product, std::size_t factor) {
  return !__builtin_mul_overflow(product, factor, &product);
}

// What is wrong with a file, told with its path in front and, if it is one entry's fault, that entry's name.
struct Complaint {
  std::string path;
  [[noreturn]] void operator()(const std::string& what, const std::string& got = "",
                               const std::string& expected = "") const {
    fail(path + " is not a valid safetensors file: " + what, got, expected,
         "it may be cut off or damaged: copy it again");
  }
};

// nlohmann's parser keeps the last of two equal keys, silently: two readers could see different files. And
// nothing in a header is deeper than three levels: no need to follow further.
json parse_header(std::string_view text, const Complaint& complain) {
  // The parser would skip a byte order mark, and stop at a zero byte as if the text ended there.
  if (text.empty() || text.front() != '{' || text.find('\0') != text.npos)
    complain("its header does not begin with { or holds a zero byte");
  const JsonFlaws flaws = json_flaws(text, 3);
  if (flaws.deep) complain("its header is nested too deeply");
  if (flaws.twice) complain("two entries are named " + json(flaws.key).dump());
  try {
    return json::parse(text);
  } catch (const json::exception& error) {
    complain(std::string("its header is not JSON: ") + error.what());
  }
}

// A JSON number that is a whole number, zero or more, and fits Index.
bool is_size(const json& value) {
  return value.is_number_unsigned() &&
         value.get<std::uint64_t>() <= static_cast<std::uint64_t>(std::numeric_limits<Index>::max());
}

bool is_list_of_sizes(const json& value) {
  return value.is_array() && std::all_of(value.begin(), value.end(), is_size);
}

std::span<char> bytes_of(auto& numbers) {
  return {reinterpret_cast<char*>(numbers.data()), numbers.size() * sizeof(*numbers.data())};
}

// A hash as that of Fowler, Noll and Vo, variant 1a, of words of 8 bytes rather than of single ones, which is
// eight times as fast. A product carries bits upwards only, so that two flipped signs could cancel: the shift
// brings them down. Each step is a bijection of the hash, so that no change within one word goes unnoticed.
class Hash {
 public:
  void add(std::string_view bytes) {
    size_ += bytes.size();
    while (filled_ > 0 && filled_ < sizeof word_ && !bytes.empty()) bytes = take(bytes, 1);
    if (filled_ == sizeof word_) flush();
    for (; bytes.size() >= sizeof word_; flush()) bytes = take(bytes, sizeof word_);
    if (!bytes.empty()) take(bytes, bytes.size());
  }
  std::string digits() {
    if (filled_ > 0) flush();
    word_ = size_;
    flush();
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash_));
    return text;
  }

 private:
  std::string_view take(std::string_view bytes, std::size_t count) {
    std::memcpy(reinterpret_cast<char*>(&word_) + filled_, bytes.data(), count);
    filled_ += count;
    return bytes.substr(count);
  }
  void flush() {
    hash_ = (hash_ ^ word_) * 0x100000001B3;
    hash_ ^= hash_ >> 32;
    word_ = filled_ = 0;
  }

  std::uint64_t hash_ = 0xCBF29CE484222325, word_ = 0, size_ = 0;
  std::size_t filled_ = 0;
};

// How the metadata stands in the header's text, up to its digits.
constexpr std::string_view before_checksum = "\"checksum\":\"";
const std::string no_checksum(16, '0');

}  // namespace

void write_safetensors(const std::string& path, const std::vector<ArrayView>& arrays,
                       const std::map<std::string, std::string>& metadata, Checksum checksum) {
  nlohmann::ordered_json header;
  if (checksum == Checksum::yes) header["__metadata__"]["checksum"] = no_checksum;  // the first of its name
  for (const auto& [key, said] : metadata) header["__metadata__"][key] = said;
  std::vector<std::string_view> parts(2);  // length and header come last, when the offsets are known
  std::set<std::string> names;
  std::size_t offset = 0;
  for (const ArrayView& array : arrays) {
    const std::string what = "cannot write " + path + ": array " + array.name;
    if (array.name == "__metadata__" || !names.insert(array.name).second) fail(what + ": this name is taken");
    std::size_t size = sizeof(Real);
    for (const Index dim : array.shape)
      if (dim < 0 || !multiply(size, static_cast<std::size_t>(dim)))
        fail(what, "a dimension of " + std::to_string(dim), "sizes from 0 that fit the memory");
    header[array.name] = {
        {"dtype", real_dtype}, {"shape", array.shape}, {"data_offsets", {offset, offset + size}}};
    parts.emplace_back(reinterpret_cast<const char*>(array.data), size);
    offset += size;
  }

  std::string text;
  try {
    text = header.is_null() ? "{}" : header.dump();
  } catch (const json::exception& error) {  // not UTF-8
    fail("cannot write " + path + ": a name or a metadata text is not UTF-8: " + error.what());
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  parts[0] = {reinterpret_cast<const char*>(&length), sizeof length};
  parts[1] = text;
  if (checksum == Checksum::yes) {
    Hash hash;
    for (const std::string_view part : parts) hash.add(part);
    text.replace(text.find(before_checksum) + before_checksum.size(), no_checksum.size(), hash.digits());
  }
  write_atomically(path, parts);
}

SafetensorsFile::SafetensorsFile(const std::string& path) : path_(path), file_(path) {
  const Complaint complain{path};
  std::uint64_t length = 0;
  if (file_.size() < sizeof length) complain("its size", std::to_string(file_.size()), "8 bytes or more");
  file_.read(0, {reinterpret_cast<char*>(&length), sizeof length});
  const std::size_t most = std::min<std::size_t>(file_.size() - sizeof length, largest_header);
  if (length > most)
    complain("the length of its header", std::to_string(length), "at most " + std::to_string(most));
  data_begin_ = sizeof length + length;
  const std::size_t data_size = file_.size() - data_begin_;
  std::string text(length, '\0');
  file_.read(sizeof length, text);

  const json header = parse_header(text, complain);
  for (const auto& [name, value] : header.items()) {
    const std::string what = "entry " + name;
    if (!value.is_object()) complain(what, value.type_name(), "an object");
    if (name == "__metadata__") {
      for (const auto& [key, said] : value.items()) {
        if (!said.is_string()) complain("metadata " + key, said.type_name(), "a string");
        metadata_[key] = said.get<std::string>();
      }
      continue;
    }

    for (const char* key : {"dtype", "shape", "data_offsets"})
      if (!value.contains(key)) complain(what + " has no " + key);
    if (value.size() != 3) complain(what + " has more than dtype, shape and data_offsets");
    const json &dtype = value["dtype"], &shape = value["shape"], &offsets = value["data_offsets"];
    if (!dtype.is_string() || !dtype_sizes.contains(dtype.get<std::string>()))
      complain(what + ": its dtype", dtype.dump(), "one of the format's, such as \"F32\"");
    if (!is_list_of_sizes(shape))
      complain(what + ": its shape", shape.dump(), "a list of whole numbers from 0");
    if (!is_list_of_sizes(offsets) || offsets.size() != 2)
      complain(what + ": its data_offsets", offsets.dump(), "two whole numbers from 0");

    Entry entry{dtype.get<std::string>(), shape.get<std::vector<Index>>()};
    entry.begin = offsets[0].get<std::size_t>();
    entry.end = offsets[1].get<std::size_t>();
    for (const Index dim : entry.shape)
      if (!multiply(entry.count, static_cast<std::size_t>(dim)))
        complain(what + ": its shape", shape.dump(), "a size that fits the memory");
    std::size_t size = entry.count;
    if (entry.begin > entry.end || entry.end > data_size || !multiply(size, dtype_sizes.at(entry.dtype)) ||
        size != entry.end - entry.begin)
      complain(what + ": its data_offsets", offsets.dump(),
               "the bytes of " + shape.dump() + " numbers within the " + std::to_string(data_size) +
                   " that follow");
    entries_[name] = std::move(entry);
    names_.push_back(name);
  }

  // In the order of the data, each must begin where the one before it ended. (An empty array shares its
  // beginning with the array after it, hence also by end.)
  std::sort(names_.begin(), names_.end(), [&](const std::string& a, const std::string& b) {
    const Entry &x = entries_.at(a), &y = entries_.at(b);
    return std::tie(x.begin, x.end, a) < std::tie(y.begin, y.end, b);
  });
  std::size_t end = 0;
  for (const std::string& name : names_) {
    const Entry& entry = entries_.at(name);
    if (entry.begin != end)
      complain("entry " + name +
                   (entry.begin < end ? " overlaps another: it begins" : " leaves a hole: it begins"),
               std::to_string(entry.begin), std::to_string(end));
    end = entry.end;
  }
  if (end != data_size) complain("the size of its data", std::to_string(data_size), std::to_string(end));
}

bool SafetensorsFile::verify() const {
  const auto said = metadata_.find("checksum");
  if (said == metadata_.end()) return false;
  const Complaint complain{path_};
  std::string bytes(data_begin_, '\0');
  file_.read(0, bytes);
  const std::size_t at = bytes.find(before_checksum, sizeof(std::uint64_t));
  if (at == bytes.npos || said->second.size() != no_checksum.size() ||
      bytes.compare(at + before_checksum.size(), no_checksum.size(), said->second) != 0)
    complain("its checksum", in_quotes(said->second), "16 digits");
  bytes.replace(at + before_checksum.size(), no_checksum.size(), no_checksum);
  Hash hash;
  hash.add(bytes);
  bytes.resize(std::size_t{1} << 20);
  for (std::size_t from = data_begin_; from < file_.size(); from += bytes.size()) {
    bytes.resize(std::min(bytes.size(), file_.size() - from));
    file_.read(from, bytes);
    hash.add(bytes);
  }
  if (const std::string digits = hash.digits(); digits != said->second)
    complain("the checksum of its bytes", digits, said->second + ", which it says");
  return true;
}

const SafetensorsFile::Entry& SafetensorsFile::find(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) fail(path_ + " has no array " + name, "", "", suggestion(name, names_));
  return found->second;
}

template <class Stored, class Number>
void SafetensorsFile::convert(const Entry& entry, std::span<Number> out) const {
  std::vector<Stored> stored(out.size());
  file_.read(data_begin_ + entry.begin, bytes_of(stored));
  std::copy(stored.begin(), stored.end(), out.begin());
}

void SafetensorsFile::read(const std::string& name, std::span<Real> out) const {
  const Entry& entry = find(name);
  if (entry.count != out.size())
    fail("the size of " + name + " in " + path_, std::to_string(entry.count), std::to_string(out.size()));
  if (entry.dtype == real_dtype)
    file_.read(data_begin_ + entry.begin, bytes_of(out));
  else if (entry.dtype == "F32")
    convert<float>(entry, out);
  else if (entry.dtype == "F64")
    convert<double>(entry, out);
  else
    fail("the numbers of " + name + " in " + path_, entry.dtype, "F32 or F64");
}

std::vector<std::int64_t> SafetensorsFile::integers(const std::string& name) const {
  const Entry& entry = find(name);
  if (entry.dtype != "I32" && entry.dtype != "I64")
    fail("the numbers of " + name + " in " + path_, entry.dtype, "I32 or I64");
  std::vector<std::int64_t> out(entry.count);
  if (entry.dtype == "I32")
    convert<std::int32_t>(entry, std::span(out));
  else
    convert<std::int64_t>(entry, std::span(out));
  return out;
}

}  // namespace ef
