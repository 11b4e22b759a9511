// POSIX calls rather than streams: streams have no fsync, and hide why something failed.
#include "train/files/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "engine/error.h"

namespace ef {
namespace {

[[noreturn]] void fail_with_errno(const std::string& what, int error) {
  std::string hint;
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      hint = "free some space, or write to another disk";
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      hint = "check the permissions of the file and of its folder";
      break;
    case ENOENT:
      hint = "check the spelling, and that the folder exists";
      break;
    case ENOTDIR:
      hint = "a part of this path is a file, not a folder";
      break;
    case EISDIR:
      hint = "a file is wanted here, not a folder";
      break;
    default:
      break;
  }
  fail(what + ": " + std::strerror(error), "", "", hint);
}

// A file descriptor that is closed on every way out.
class Descriptor {
 public:
  Descriptor(const std::string& path, int flags) : number_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {}
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  bool opened() const { return number_ >= 0; }
  int number() const { return number_; }
  // Some file systems report a failed write only here.
  bool close() { return ::close(std::exchange(number_, -1)) == 0; }

 private:
  int number_;
};

// False with errno set if not everything could be written. One call may write less than it was given.
bool write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) return false;
    if (written > 0) bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

bool write_and_sync(Descriptor& file, std::span<const std::string_view> parts) {
  for (const std::string_view part : parts)
    if (!write_all(file.number(), part)) return false;
  return ::fsync(file.number()) == 0 && file.close();
}

// An empty file of this name that is locked, so that nobody else writes it: whoever had it before has renamed
// or removed it, which shows in that the name is no longer that of the file we waited for.
Descriptor open_alone(const std::string& path) {
  while (true) {
    Descriptor file(path, O_WRONLY | O_CREAT);
    struct stat ours = {};
    struct stat named = {};
    if (!file.opened()) return file;
    while (::flock(file.number(), LOCK_EX) != 0 && errno == EINTR) {
    }  // on a file system without locks it goes on without
    if (::fstat(file.number(), &ours) != 0 || ::stat(path.c_str(), &named) != 0 ||
        ours.st_ino != named.st_ino)
      continue;
    if (::ftruncate(file.number(), 0) == 0) return file;
    const int error = errno;
    file.close();
    errno = error;
    return file;
  }
}

// The new name is an entry of the folder, and lasts only once that is on the disk too.
void sync_folder_of(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  const Descriptor folder(parent.empty() ? "." : parent, O_RDONLY | O_DIRECTORY);
  if (!folder.opened()) return;  // a folder may be writable but not readable
  // EINVAL: this file system cannot sync folders, and need not.
  if (::fsync(folder.number()) != 0 && errno != EINVAL)
    fail_with_errno("cannot write the folder of " + path + " to the disk", errno);
}

}  // namespace

std::string read_file(const std::string& path) {
  const Descriptor file(path, O_RDONLY);
  struct stat status {};
  if (!file.opened() || ::fstat(file.number(), &status) != 0) fail_with_errno("cannot read " + path, errno);
  if (S_ISDIR(status.st_mode)) fail_with_errno("cannot read " + path, EISDIR);

  // The size is only a first guess: a pipe has none, and a file may be growing.
  std::string text(status.st_size + 1, '\0');
  std::size_t size = 0;
  while (true) {
    if (size == text.size()) text.resize(2 * size);
    const ssize_t got = ::read(file.number(), text.data() + size, text.size() - size);
    if (got == 0) break;
    if (got < 0 && errno != EINTR) fail_with_errno("cannot read " + path, errno);
    if (got > 0) size += static_cast<std::size_t>(got);
  }
  text.resize(size);
  return text;
}

InputFile::InputFile(const std::string& path)
    : path_(path), file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  struct stat status {};
  const bool opened = file_ >= 0 && ::fstat(file_, &status) == 0;
  const int error = opened ? EISDIR : errno;
  if (!opened || S_ISDIR(status.st_mode)) {
    if (file_ >= 0) ::close(file_);
    fail_with_errno("cannot read " + path, error);
  }
  size_ = static_cast<std::size_t>(status.st_size);
}

InputFile::~InputFile() { ::close(file_); }

void InputFile::read(std::size_t offset, std::span<char> out) const {
  while (!out.empty()) {
    const ssize_t got = ::pread(file_, out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0 && errno != EINTR) fail_with_errno("cannot read " + path_, errno);
    if (got == 0)
      fail(path_ + " ends at byte " + std::to_string(offset), "", "", "it may be cut off: copy it again");
    if (got < 0) continue;
    offset += static_cast<std::size_t>(got);
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

void write_atomically(const std::string& path, std::span<const std::string_view> parts) {
  // One name for all, so that a program that is killed leaves one file at most; programs that write the same
  // file at once take turns.
  const std::string temporary = path + ".tmp";
  Descriptor file = open_alone(temporary);
  if (!file.opened()) fail_with_errno("cannot write " + path, errno);
  const Descriptor keeps_lock(::fcntl(file.number(), F_DUPFD_CLOEXEC, 0));  // until it has its new name
  if (!keeps_lock.opened() || !write_and_sync(file, parts) ||
      ::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    fail_with_errno("cannot write " + path, error);
  }
  sync_folder_of(path);
}

void write_atomically(const std::string& path, std::string_view text) {
  write_atomically(path, std::span(&text, 1));
}

void make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) fail_with_errno("cannot create the folder " + path, error.value());

  // Permission bits do not tell all (a read-only disk, a quota): write something.
  const std::string probe = path + "/.probe-" + std::to_string(::getpid());
  Descriptor file(probe, O_WRONLY | O_CREAT);
  if (!file.opened()) fail_with_errno("cannot write in the folder " + path, errno);
  const bool written = write_all(file.number(), "probe") && file.close();
  const int write_error = errno;
  ::unlink(probe.c_str());
  if (!written) fail_with_errno("cannot write in the folder " + path, write_error);
}

LineLog::LineLog(const std::string& path)
    : path_(path), file_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {
  if (file_ < 0) fail_with_errno("cannot write " + path, errno);
}

LineLog::~LineLog() { ::close(file_); }

void LineLog::line(std::string_view text) {
  // Line and line end in one call: programs that append to one file do not interleave.
  std::string bytes(text);
  bytes += '\n';
  if (!write_all(file_, bytes)) fail_with_errno("cannot write " + path_, errno);
}

void LineLog::sync() {
  if (::fsync(file_) != 0 && errno != EINVAL) fail_with_errno("cannot write " + path_, errno);
  if (!std::exchange(named_, true)) sync_folder_of(path_);
}

void LineLog::keep_lines_if(const std::string& path, const std::function<bool(std::string_view)>& predicate) {
  if (!std::filesystem::exists(path)) return;
  const std::string text = read_file(path);
  std::string kept;
  std::size_t begin = 0;
  for (std::size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    if (predicate(line)) kept.append(line).push_back('\n');
  }
  if (kept != text) write_atomically(path, kept);
}

}  // namespace ef
