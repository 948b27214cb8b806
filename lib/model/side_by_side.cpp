#include "model/side_by_side.h"

#include <torch/types.h>

#include <algorithm>

#include "base/parallel.h"

namespace elastify {

void run_side_by_side(std::size_t count, std::size_t workers, const std::function<void(std::size_t)>& work) {
  const int threads = torch::get_num_threads();
  work_in_parallel(count, std::max<std::size_t>(workers, 1), [&] {
    torch::set_num_threads(threads);  // a setting of each thread
    return [&](std::size_t i) { work(i); };
  });
}

SharedThreads::SharedThreads(std::int64_t workers) : before_(torch::get_num_threads()) {
  if (workers > 1) torch::set_num_threads(static_cast<int>(std::max<std::int64_t>(1, before_ / workers)));
}

SharedThreads::~SharedThreads() { torch::set_num_threads(before_); }

}  // namespace elastify
