#include "model/side_by_side.h"

#include <torch/types.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace elastify {

void run_side_by_side(std::size_t count, std::size_t workers, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  std::exception_ptr failure;
  std::mutex mutex;
  const int threads = torch::get_num_threads();
  const auto run = [&] {
    torch::set_num_threads(threads);  // a setting of each thread
    try {
      for (std::size_t i = next++; i < count; i = next++) work(i);
    } catch (...) {
      const std::scoped_lock lock(mutex);
      failure = std::current_exception();
    }
  };
  std::vector<std::thread> others;
  for (std::size_t i = 1; i < std::min(workers, count); ++i) others.emplace_back(run);
  run();
  for (auto& other : others) other.join();
  if (failure) std::rethrow_exception(failure);
}

SharedThreads::SharedThreads(std::int64_t workers) : before_(torch::get_num_threads()) {
  if (workers > 1) torch::set_num_threads(static_cast<int>(std::max<std::int64_t>(1, before_ / workers)));
}

SharedThreads::~SharedThreads() { torch::set_num_threads(before_); }

}  // namespace elastify
