#include "model/logit_kernels.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "model/logit_kernels.cpp"
#include <hwy/foreach_target.h>  // compiles what follows once per target

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace elastify::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
#include "model/vector_loops-inl.h"

float Highest(const float* x, std::int64_t n) { return highest_of(x, n); }

float LogSumExp(const float* x, std::int64_t n, float t) {
  const float highest = highest_of(x, n);
  const float total = sum_over(n, [&](auto d, std::int64_t i) {
    return hn::Exp(d, hn::Mul(hn::Set(d, t), hn::Sub(hn::LoadU(d, x + i), hn::Set(d, highest))));
  });
  return t * highest + std::log(total);
}

void ScaledSoftmax(const float* x, std::int64_t n, float t, float log_sum, float factor, bool add, float* y) {
  for_each(n, [&](auto d, std::int64_t i) {
    const auto shifted = hn::MulSub(hn::Set(d, t), hn::LoadU(d, x + i), hn::Set(d, log_sum));
    auto value = hn::Mul(hn::Set(d, factor), hn::Exp(d, shifted));
    if (add) value = hn::Add(value, hn::LoadU(d, y + i));
    hn::StoreU(value, d, y + i);
  });
}

}  // namespace elastify::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace elastify::kernels {

HWY_EXPORT(Highest);
HWY_EXPORT(LogSumExp);
HWY_EXPORT(ScaledSoftmax);

float log_sum_exp(const float* x, std::int64_t n, float t) { return HWY_DYNAMIC_DISPATCH(LogSumExp)(x, n, t); }

void scaled_softmax(const float* x, std::int64_t n, float t, float log_sum, float factor, bool add, float* y) {
  HWY_DYNAMIC_DISPATCH(ScaledSoftmax)(x, n, t, log_sum, factor, add, y);
}

void largest(const float* x, std::int64_t n, std::int64_t k, std::int32_t* ids, float* values) {
  constexpr std::int64_t kStretch = 256;  // of which only the maximum is looked at while it is too small
  const auto before = [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  };
  std::vector<std::pair<float, std::int32_t>> heap;  // the smallest of those found in front
  heap.reserve(static_cast<std::size_t>(k));
  for (std::int64_t begin = 0; begin < n; begin += kStretch) {
    const std::int64_t end = std::min(n, begin + kStretch);
    const bool full = static_cast<std::int64_t>(heap.size()) == k;
    if (full && !(HWY_DYNAMIC_DISPATCH(Highest)(x + begin, end - begin) > heap.front().first)) continue;
    for (std::int64_t i = begin; i < end; ++i) {
      if (static_cast<std::int64_t>(heap.size()) == k) {
        if (!(x[i] > heap.front().first)) continue;
        std::pop_heap(heap.begin(), heap.end(), before);
        heap.back() = {x[i], static_cast<std::int32_t>(i)};
      } else {
        heap.emplace_back(x[i], static_cast<std::int32_t>(i));
      }
      std::push_heap(heap.begin(), heap.end(), before);
    }
  }
  std::sort_heap(heap.begin(), heap.end(), before);
  for (std::size_t i = 0; i < heap.size(); ++i) values[i] = heap[i].first, ids[i] = heap[i].second;
}

}  // namespace elastify::kernels
#endif
