// A fixed set of threads that do the same thing at the same time, each on its own share.
#pragma once
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/real.h"

namespace ef {

// The part [first, last) of n things that falls to one of `parts`: consecutive, sizes differ by one at most,
// and sizes are multiples of `grain` (but for the end).
struct Share {
  Index first, last;
  Index size() const { return last - first; }
};
Share share_of(Index n, Index part, Index parts, Index grain = 1);

class Workers {
 public:
  explicit Workers(Index count);  // Error unless 1 <= count <= 1024
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  Index count() const { return count_; }

  // Calls task(0) .. task(count - 1) at the same time, task(0) on the calling thread, and returns when all
  // are done. If some throw, the exception of the lowest number is thrown again here.
  template <class Task>
  void run(const Task& task) {
    run_everywhere(std::cref(task));  // a reference fits into a std::function without allocating
  }

 private:
  void run_everywhere(const std::function<void(Index)>& task);
  void loop(Index worker);
  void stop();  // ends all threads that there are
  void call(Index worker);

  Index count_;
  std::vector<std::thread> threads_;
  std::vector<std::exception_ptr> errors_;
  std::mutex mutex_;
  std::condition_variable start_, done_;
  const std::function<void(Index)>* task_ = nullptr;
  Index round_ = 0, running_ = 0;
  bool stop_ = false;
};

}  // namespace ef
