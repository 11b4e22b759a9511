#include "train/files/process.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>

#include "engine/error.h"

namespace ef {

Lock::Lock(const std::string& path) : file_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  if (file_ < 0) fail("cannot write " + path + ": " + std::strerror(errno));
  // On a file system without locks it goes on without.
  held_ = ::flock(file_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
}
Lock::~Lock() { ::close(file_); }

pid_t start_process(const std::vector<std::string>& command, const std::string& output, const Lock& lock) {
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  // A signal to stop that arrives between fork and exec must not be taken by a handler of this program.
  sigset_t stops, before;
  ::sigemptyset(&stops);
  ::sigaddset(&stops, SIGINT);
  ::sigaddset(&stops, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &stops, &before);
  const pid_t parent = ::getpid(), child = ::fork();
  const int error = errno;
  if (child != 0) ::sigprocmask(SIG_SETMASK, &before, nullptr);
  if (child < 0) fail("cannot start " + command[0] + ": " + std::strerror(error));
  if (child > 0) return child;
  // Only calls that are safe between fork and exec.
  ::signal(SIGINT, SIG_DFL);
  ::signal(SIGTERM, SIG_DFL);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  ::setpgid(0, 0);
#ifdef __linux__
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
#endif
  if (::getppid() != parent) ::_exit(127);
  const int in = ::open("/dev/null", O_RDONLY),
            out = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
  if (in < 0 || out < 0 || ::dup2(in, 0) < 0 || ::dup2(out, 1) < 0 || ::dup2(out, 2) < 0) ::_exit(127);
  ::fcntl(lock.file(), F_SETFD, 0);  // not closed by exec
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

std::string last_words(const std::string& output, std::uintmax_t from, const std::string& program) {
  std::ifstream file(output);
  file.seekg(static_cast<std::streamoff>(from));
  std::string found, last = "it ended without a message";
  for (std::string line; std::getline(file, line);) {
    if (line.empty()) continue;
    last = line;
    if (line.starts_with(program + ": ")) found = line.substr(program.size() + 2);
  }
  return found.empty() ? last : found;
}

}  // namespace ef
