// Independent pieces of LibTorch work on a few threads of one process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace elastify {

// Calls work(0) .. work(count - 1), `workers` at a time; each runs LibTorch on as many threads as the caller is set to.
// On a CPU that is faster than threads inside small products. The first exception is thrown here.
void run_side_by_side(std::size_t count, std::size_t workers, const std::function<void(std::size_t)>& work);

// While it lives, LibTorch runs on the caller's threads divided among `workers`, at least one each.
class SharedThreads {
 public:
  explicit SharedThreads(std::int64_t workers);
  ~SharedThreads();
  SharedThreads(const SharedThreads&) = delete;
  SharedThreads& operator=(const SharedThreads&) = delete;

 private:
  int before_;
};

}  // namespace elastify
