// Loops over one row of logits, float32; Highway picks the widest vectors of the processor at run time.
#pragma once

#include <cstdint>

namespace elastify::kernels {

// log sum exp(t x_i), t > 0.
float log_sum_exp(const float* x, std::int64_t n, float t);
// y_i = factor exp(t x_i - log_sum); `add`: y_i += that. y may be x unless `add`.
void scaled_softmax(const float* x, std::int64_t n, float t, float log_sum, float factor, bool add, float* y);
// The k largest of n values, k <= n, in falling order, the lower index first among equal ones.
void largest(const float* x, std::int64_t n, std::int64_t k, std::int32_t* ids, float* values);

}  // namespace elastify::kernels
