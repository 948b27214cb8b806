// Attention over cached rows against plain double loops, on every instruction set that this processor has.
#include <catch2/catch.hpp>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "kernels.hpp"
#include "support/gguf_builder.h"
#include "unit/runtime/instruction_sets.h"

using elrt::KvType;
namespace kernels = elrt::kernels;

namespace {

double half_at(const std::byte* p) {
  std::uint16_t bits;
  std::memcpy(&bits, p, sizeof(bits));
  return elastify_test::float_from_half_bits(bits);
}

// Value i of a cache row, by kv_row.hpp.
double row_value(KvType type, const std::byte* row, std::size_t dim, std::size_t i) {
  if (type == KvType::kF16) return half_at(row + 2 * i);
  if (type == KvType::kQ8_0) return half_at(row + 2 * (i / 32)) * static_cast<double>(static_cast<std::int8_t>(row[2 * elrt::kv_blocks(dim) + i]));
  float value;
  std::memcpy(&value, row + 4 * i, sizeof(value));
  return value;
}

struct Case {
  KvType type;
  std::size_t dim, begin, end, row_bytes;
  std::vector<float> query;
  std::vector<std::byte> keys, values;

  Case(std::mt19937& random, KvType kv_type) : type(kv_type) {
    const auto integer = [&](int low, int high) { return static_cast<std::size_t>(std::uniform_int_distribution<int>(low, high)(random)); };
    dim = 2 * integer(1, 70), end = integer(1, 90), begin = integer(0, static_cast<int>(end) - 1);
    row_bytes = elrt::kv_row_bytes(type, dim);
    keys.resize(end * row_bytes), values.resize(end * row_bytes), query.resize(dim);
    std::vector<float> x(dim);
    std::uniform_real_distribution<float> real(-2, 2);
    for (float& value : query) value = real(random);
    for (std::size_t j = 0; j < 2 * end; ++j) {
      for (float& value : x) value = real(random);
      kernels::store_kv_row(type, x.data(), dim, (j % 2 == 0 ? keys : values).data() + j / 2 * row_bytes);
    }
  }

  std::vector<float> run() const {
    std::vector<float> scores(kernels::padded(end - begin)), out(dim);
    kernels::attend({query.data(), type, keys.data(), values.data(), row_bytes, begin, end, dim, 0.25f, scores.data(), out.data()});
    return out;
  }

  std::vector<double> exact() const {
    std::vector<double> out(dim), weights;
    double sum = 0;
    for (std::size_t j = begin; j < end; ++j) {
      double score = 0;
      for (std::size_t i = 0; i < dim; ++i) score += query[i] * row_value(type, keys.data() + j * row_bytes, dim, i);
      weights.push_back(std::exp(0.25 * score)), sum += weights.back();
    }
    for (std::size_t j = begin; j < end; ++j) {
      for (std::size_t i = 0; i < dim; ++i) out[i] += weights[j - begin] / sum * row_value(type, values.data() + j * row_bytes, dim, i);
    }
    return out;
  }
};

}  // namespace

TEST_CASE("attention equals a plain double loop for every cache type", "[runtime][unit]") {
  std::mt19937 random(5);
  for (int round = 0; round < 60; ++round) {
    const Case job(random, round % 3 == 0 ? KvType::kF32 : round % 3 == 1 ? KvType::kF16 : KvType::kQ8_0);
    const std::vector<double> exact = job.exact();
    elastify_test::for_each_target([&](const std::string& target, bool) {
      INFO(target << ", " << elrt::kv_type_name(job.type) << ", width " << job.dim << ", positions " << job.begin << " to " << job.end);
      const std::vector<float> out = job.run();
      // Scores of float32 are good to some 1e-5 of their terms' sizes (at most 140 terms of 1), so are their exponentials, and values are at most 2.
      double worst = 0;
      for (std::size_t i = 0; i < job.dim; ++i) worst = std::isfinite(out[i]) ? std::max(worst, std::abs(out[i] - exact[i])) : 1;
      CHECK(worst < 1e-4);
    });
  }
}

TEST_CASE("a key that is not a number is seen in what attention gives", "[runtime][unit]") {
  std::mt19937 random(7);
  for (int round = 0; round < 8; ++round) {
    Case job(random, KvType::kF32);
    const float nan = std::numeric_limits<float>::quiet_NaN();
    std::memcpy(job.keys.data() + (job.begin + job.end) / 2 * job.row_bytes, &nan, sizeof(nan));
    elastify_test::for_each_target([&](const std::string& target, bool) {
      INFO(target);
      CHECK(std::isnan(job.run()[0]));
    });
  }
}
