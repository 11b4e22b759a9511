// Files that are whole or not there: a program killed at any instant leaves the old one or the new one.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace ef {

// All bytes of a file. Error if it is missing, a folder, or unreadable.
std::string read_file(const std::string& path);

// A file that is read in parts. It stays the same file when another is renamed over its path.
class InputFile {
 public:
  explicit InputFile(const std::string& path);  // Error if it is missing, a folder, or unreadable
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  std::size_t size() const { return size_; }
  // out.size() bytes from `offset` on. Error if the file ends before.
  void read(std::size_t offset, std::span<char> out) const;

 private:
  std::string path_;
  int file_;
  std::size_t size_ = 0;
};

// Writes the parts, one after another, as the new content of `path`: into PATH.tmp beside it, synced to the
// disk, then renamed. Error if anything goes wrong (full disk, read-only folder): the file that was there
// stays as it was, and no temporary file is left.
void write_atomically(const std::string& path, std::span<const std::string_view> parts);
void write_atomically(const std::string& path, std::string_view text);

// Creates the folder and those above it. Error if that cannot be done, or no file can be written in it.
void make_folder(const std::string& path);

// A text file that grows by whole lines. A line is with the operating system when line() returns: it survives
// the death of the program, and from sync() on that of the machine.
class LineLog {
 public:
  explicit LineLog(const std::string& path);  // created if missing
  ~LineLog();
  LineLog(const LineLog&) = delete;
  LineLog& operator=(const LineLog&) = delete;

  void line(std::string_view text);  // without its line end. Error if it could not be written

  void sync();  // what was written is on the disk when it returns. Error if it could not be

  // Rewrites the file with only those lines for which the predicate holds. A last line without its line end
  // was cut off by a crash and goes too. A missing file is an empty one.
  static void keep_lines_if(const std::string& path, const std::function<bool(std::string_view)>& predicate);

 private:
  std::string path_;
  int file_;
  bool named_ = false;  // whether its folder is on the disk with its name
};

}  // namespace ef
