// Child processes that a program runs and looks after.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace ef {

// A file that only one process, and the children that inherit it, can hold.
class Lock {
 public:
  // Makes the file if it is not there, and tries to hold it, without waiting. Error if it cannot be written.
  explicit Lock(const std::string& path);
  ~Lock();
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  bool held() const { return held_; }
  int file() const { return file_; }

 private:
  int file_;
  bool held_;
};

// Starts a program (a path, then its arguments) with its output appended to a file. The child keeps the lock,
// is in a process group of its own (Ctrl-C in a terminal reaches the parent only, which passes it on once),
// and is told to stop if the parent dies. It ends with status 127 if the program cannot be started.
pid_t start_process(const std::vector<std::string>& command, const std::string& output, const Lock& lock);

// What a program said last: the last line of its output, from a byte on, that begins with "PROGRAM: ",
// without that; or the last line. A full disk takes no words at all.
std::string last_words(const std::string& output, std::uintmax_t from, const std::string& program);

}  // namespace ef
