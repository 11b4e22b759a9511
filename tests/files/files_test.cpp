// Files are whole or not there, whatever happens while they are written.
#include "train/files/files.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "tests/helpers.h"

namespace ef {
namespace {

namespace fs = std::filesystem;

struct Folder {
  std::string path = (fs::temp_directory_path() / "ef-files-XXXXXX").string();
  Folder() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const std::string& name) const { return path + "/" + name; }
};

// While it lives, no file can grow beyond so many bytes: a full disk, without filling one.
struct SmallDisk {
  rlimit before{};
  void (*handler)(int);
  explicit SmallDisk(rlim_t bytes) : handler(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before);
    const rlimit now{bytes, before.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &now);
  }
  ~SmallDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
  }
};

TEST_CASE("files: what is written is read back, byte for byte") {
  const Folder folder;
  for (const std::string& text : {std::string(), std::string("a\0b\r\n\xff", 6), std::string(300'000, 'x')}) {
    write_atomically(folder / "f", text);
    CHECK(read_file(folder / "f") == text);
  }
  const std::vector<std::string_view> parts = {"one ", "", "two"};
  write_atomically(folder / "f", parts);
  CHECK(read_file(folder / "f") == "one two");
  CHECK_FALSE(fs::exists(folder / "f.tmp"));
}

TEST_CASE("files: a file without a size is read to its end") {
  if (fs::exists("/proc/self/status")) CHECK(contains(read_file("/proc/self/status"), "Name:"));
}

TEST_CASE("files: reading what cannot be read") {
  const Folder folder;
  check_throws([&] { read_file(folder / "missing"); }, {"cannot read", "/missing", "No such file"});
  check_throws([&] { read_file(folder.path); }, {"cannot read", folder.path, "not a folder"});
  write_atomically(folder / "secret", "text");
  fs::permissions(folder / "secret", fs::perms::none);
  if (::geteuid() != 0) check_throws([&] { read_file(folder / "secret"); }, {"permission"});
}

TEST_CASE("files: a temporary file of a program that was killed is in nobody's way") {
  const Folder folder;
  write_atomically(folder / "f.tmp", std::string(1000, 'x'));
  write_atomically(folder / "f", "new");
  CHECK(read_file(folder / "f") == "new");
  CHECK_FALSE(fs::exists(folder / "f.tmp"));
}

TEST_CASE("files: programs that write one file at once take turns") {
  const Folder folder;
  const std::string path = folder / "f";
  constexpr int rounds = 40;
  const auto text = [](int writer, int round) {
    return std::string(300'000 + 1000 * static_cast<std::size_t>(round), static_cast<char>('a' + writer));
  };
  std::vector<pid_t> writers;
  for (int writer = 0; writer < 3; ++writer) {
    const pid_t child = ::fork();
    if (child > 0) writers.push_back(child);
    if (child != 0) continue;
    try {  // must not come back into the tests
      for (int round = 0; round < rounds; ++round) {
        write_atomically(path, text(writer, round));
        const std::string read = read_file(path);  // whoever wrote it: whole
        if (read.size() < 300'000 || read.find_first_not_of(read[0]) != std::string::npos) ::_exit(1);
      }
      ::_exit(0);
    } catch (...) {
      ::_exit(2);
    }
  }
  REQUIRE(writers.size() == 3);
  for (const pid_t writer : writers) {
    int status = 0;
    REQUIRE(::waitpid(writer, &status, 0) == writer);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
  CHECK_FALSE(fs::exists(folder / "f.tmp"));
}

TEST_CASE("files: on a full disk the old file stays and the temporary one goes") {
  const Folder folder;
  write_atomically(folder / "f", "old");
  const std::string large(100'000, 'x');
  std::string thrown;
  {
    const SmallDisk disk(5000);
    thrown = thrown_by([&] { write_atomically(folder / "f", large); });
  }
  CHECK(contains(thrown, "cannot write"));
  CHECK(contains(thrown, "too large"));
  CHECK(contains(thrown, "free some space"));
  CHECK(read_file(folder / "f") == "old");
  CHECK_FALSE(fs::exists(folder / "f.tmp"));
}

TEST_CASE("files: writing where nothing can be written") {
  const Folder folder;
  write_atomically(folder / "file", "old");
  check_throws([&] { write_atomically(folder / "file/below", "new"); }, {"cannot write", "not a folder"});
  check_throws([&] { write_atomically(folder / "none/below", "new"); }, {"cannot write", "folder exists"});
  CHECK(read_file(folder / "file") == "old");

  fs::create_directories(folder / "folder/full");
  check_throws([&] { write_atomically(folder / "folder", "new"); }, {"cannot write"});
  CHECK(fs::is_directory(folder / "folder/full"));
  CHECK_FALSE(fs::exists(folder / "folder.tmp"));

  fs::permissions(folder / "folder", fs::perms::owner_read | fs::perms::owner_exec);
  if (::geteuid() != 0) {  // permissions do not bind root
    check_throws([&] { write_atomically(folder / "folder/f", "new"); }, {"cannot write", "permissions"});
    check_throws([&] { make_folder(folder / "folder"); }, {"cannot write in the folder", "permissions"});
  }
  fs::permissions(folder / "folder", fs::perms::owner_all);
}

TEST_CASE("files: folders are made with those above them") {
  const Folder folder;
  for (const std::string name : {"a/b/c", "a/b/c", "d/e/"}) {
    make_folder(folder / name);
    CHECK(fs::is_directory(folder / name));
    CHECK(fs::is_empty(folder / name));
  }
  write_atomically(folder / "file", "old");
  check_throws([&] { make_folder(folder / "file"); }, {"folder", "/file"});
  check_throws([&] { make_folder(folder / "file/below"); }, {"cannot create the folder", "/file/below"});
}

TEST_CASE("files: a log grows by lines, each at once in the file") {
  const Folder folder;
  {
    LineLog log(folder / "log");
    log.line("one");
    CHECK(read_file(folder / "log") == "one\n");
    log.line("");
  }
  LineLog log(folder / "log");
  log.line("three");
  CHECK(read_file(folder / "log") == "one\n\nthree\n");
  std::string thrown;
  {
    const SmallDisk disk(20);
    thrown = thrown_by([&] { log.line("a line that has no room"); });
  }
  CHECK(contains(thrown, "cannot write"));
  check_throws([&] { LineLog(folder / "none/log"); }, {"cannot write", "folder exists"});
}

TEST_CASE("files: lines of a log are dropped, and a torn one always") {
  const Folder folder;
  const auto short_ones = [](std::string_view line) { return line.size() < 4; };
  LineLog::keep_lines_if(folder / "missing", short_ones);
  CHECK_FALSE(fs::exists(folder / "missing"));

  write_atomically(folder / "log", "one\nthree\n\ntwo\nto");
  LineLog::keep_lines_if(folder / "log", short_ones);
  CHECK(read_file(folder / "log") == "one\n\ntwo\n");
  LineLog::keep_lines_if(folder / "log", short_ones);
  CHECK(read_file(folder / "log") == "one\n\ntwo\n");
  LineLog::keep_lines_if(folder / "log", [](std::string_view) { return false; });
  CHECK(read_file(folder / "log").empty());
}

}  // namespace
}  // namespace ef
