#include "engine/workers.h"

#include <algorithm>
#include <string>

#include "engine/error.h"

namespace ef {

Share share_of(Index n, Index part, Index parts, Index grain) {
  const Index grains = (n + grain - 1) / grain;
  return {std::min(n, grains * part / parts * grain), std::min(n, grains * (part + 1) / parts * grain)};
}

Workers::Workers(Index count) : count_(count) {
  if (count < 1 || count > 1024) fail("workers", std::to_string(count), "1 to 1024");
  errors_.resize(count);
  try {
    for (Index worker = 1; worker < count; ++worker) threads_.emplace_back([this, worker] { loop(worker); });
  } catch (const std::exception& error) {  // the system allows no more
    const std::size_t made = threads_.size() + 1;
    stop();  // no destructor runs, and those that were made wait
    fail("workers: only " + std::to_string(made) + " threads could be made", error.what(),
         std::to_string(count), "ask for fewer");
  }
}

Workers::~Workers() { stop(); }

void Workers::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  start_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Workers::run_everywhere(const std::function<void(Index)>& task) {
  {
    const std::lock_guard lock(mutex_);
    task_ = &task;
    running_ = count_ - 1;
    ++round_;
  }
  start_.notify_all();
  call(0);
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return running_ == 0; });
  for (std::exception_ptr& error : errors_) {
    if (!error) continue;
    const std::exception_ptr first = error;
    std::fill(errors_.begin(), errors_.end(), nullptr);
    std::rethrow_exception(first);
  }
}

void Workers::call(Index worker) {
  try {
    (*task_)(worker);
  } catch (...) {
    errors_[worker] = std::current_exception();
  }
}

void Workers::loop(Index worker) {
  for (Index seen = 0;;) {
    {
      std::unique_lock lock(mutex_);
      start_.wait(lock, [&] { return stop_ || round_ != seen; });
      if (stop_) return;
      seen = round_;
    }
    call(worker);
    const std::lock_guard lock(mutex_);
    if (--running_ == 0) done_.notify_one();
  }
}

}  // namespace ef
