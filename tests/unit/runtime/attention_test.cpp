// Attention over cached rows against plain double loops, on every instruction set that this processor has.
#include <catch2/catch.hpp>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/kernels.hpp"
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

// Value i of a position, by kv_layout.hpp.
double value_at(KvType type, const std::byte* row, std::size_t dim, std::size_t i) {
  if (type == KvType::kF16) return half_at(row + 2 * i);
  if (type == KvType::kQ8_0)
    return half_at(row + 2 * (i / 32)) *
           static_cast<double>(static_cast<std::int8_t>(row[2 * elrt::kv_blocks(dim) + i]));
  float value;
  std::memcpy(&value, row + 4 * i, sizeof(value));
  return value;
}
double key_at(KvType type, const std::byte* tile, std::size_t dim, std::size_t position, std::size_t i) {
  if (type == KvType::kF16) return half_at(tile + 2 * (32 * i + position));
  if (type == KvType::kQ8_0) {
    return half_at(tile + 2 * (32 * (i / 32) + position)) *
           static_cast<double>(static_cast<std::int8_t>(tile[2 * 32 * elrt::kv_blocks(dim) + 32 * i + position]));
  }
  float value;
  std::memcpy(&value, tile + 4 * (32 * i + position), sizeof(value));
  return value;
}

struct Case {
  KvType type;
  std::size_t dim, first, count, window, row_bytes, tile_bytes;
  std::vector<float> queries;
  std::vector<std::byte> keys, values;

  Case(std::mt19937& random, KvType kv_type) : type(kv_type) {
    const auto integer = [&](int low, int high) {
      return static_cast<std::size_t>(std::uniform_int_distribution<int>(low, high)(random));
    };
    dim = 2 * integer(1, 70), first = integer(0, 200), count = integer(1, 15), window = integer(0, 1) * integer(1, 150);
    const std::size_t end = first + count;
    row_bytes = elrt::kv_row_bytes(type, dim), tile_bytes = elrt::kv_tile_bytes(type, dim);
    // After the last position stands what an earlier text may have left there: not a number.
    keys.resize(elrt::kv_tiles(end) * tile_bytes, std::byte{0xFF}), values.resize(end * row_bytes),
        queries.resize(count * dim);
    std::vector<float> x(dim);
    std::uniform_real_distribution<float> real(-2, 2);
    for (float& value : queries) value = real(random);
    for (std::size_t j = 0; j < end; ++j) {
      for (float& value : x) value = real(random);
      kernels::store_key(type, x.data(), dim, keys.data() + j / 32 * tile_bytes, j % 32);
      for (float& value : x) value = real(random);
      kernels::store_value(type, x.data(), dim, values.data() + j * row_bytes);
    }
  }

  // Queries from..from+some-1 in one call.
  std::vector<float> run(std::size_t from, std::size_t some) const {
    const std::size_t stride = kernels::attention_scores(first + from + some);
    std::vector<float> scores(some * stride), out(some * dim);
    kernels::Attention job;
    job.queries = queries.data() + from * dim, job.query_stride = dim, job.count = some, job.first = first + from,
    job.window = window;
    job.type = type, job.keys = keys.data(), job.values = values.data(), job.row_bytes = row_bytes, job.head_dim = dim,
    job.scale = 0.25f;
    job.scores = scores.data(), job.score_stride = stride, job.out = out.data(), job.out_stride = dim;
    kernels::attend(job);
    return out;
  }
  std::vector<float> run() const { return run(0, count); }

  std::vector<double> exact() const {
    std::vector<double> out(count * dim);
    for (std::size_t q = 0; q < count; ++q) {
      const std::size_t end = first + q + 1, begin = window == 0 || window > end ? 0 : end - window;
      std::vector<double> weights;
      double sum = 0;
      for (std::size_t j = begin; j < end; ++j) {
        double score = 0;
        for (std::size_t i = 0; i < dim; ++i)
          score += queries[q * dim + i] * key_at(type, keys.data() + j / 32 * tile_bytes, dim, j % 32, i);
        weights.push_back(std::exp(0.25 * score)), sum += weights.back();
      }
      for (std::size_t j = begin; j < end; ++j) {
        for (std::size_t i = 0; i < dim; ++i)
          out[q * dim + i] += weights[j - begin] / sum * value_at(type, values.data() + j * row_bytes, dim, i);
      }
    }
    return out;
  }
};

}  // namespace

TEST_CASE("attention equals a plain double loop for every cache type, in one call or query by query",
          "[runtime][unit]") {
  std::mt19937 random(5);
  for (int round = 0; round < 60; ++round) {
    const Case job(random, round % 3 == 0 ? KvType::kF32 : round % 3 == 1 ? KvType::kF16 : KvType::kQ8_0);
    const std::vector<double> exact = job.exact();
    elastify_test::for_each_target([&](const std::string& target, bool) {
      INFO(target << ", " << elrt::kv_type_name(job.type) << ", width " << job.dim << ", " << job.count
                  << " queries from " << job.first << ", window " << job.window);
      const std::vector<float> out = job.run();
      // Scores of float32 are good to some 1e-5 of their terms' sizes (at most 140 terms of 1), so are their
      // exponentials, and values are at most 2.
      double worst = 0;
      for (std::size_t i = 0; i < out.size(); ++i)
        worst = std::isfinite(out[i]) ? std::max(worst, std::abs(out[i] - exact[i])) : 1;
      CHECK(worst < 1e-4);
      std::vector<float> one_by_one;
      for (std::size_t q = 0; q < job.count; ++q) {
        const std::vector<float> one = job.run(q, 1);
        one_by_one.insert(one_by_one.end(), one.begin(), one.end());
      }
      CHECK(out == one_by_one);  // to the bit
    });
  }
}

TEST_CASE("a key that is not a number is seen by those who attend to it, and by no others", "[runtime][unit]") {
  std::mt19937 random(7);
  for (int round = 0; round < 16; ++round) {
    Case job(random, KvType::kF32);
    job.window = round % 2 == 0 ? 0 : 1 + round / 4;
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const std::size_t damaged = job.first + job.count / 2;
    std::memcpy(job.keys.data() + damaged / 32 * job.tile_bytes + 4 * (damaged % 32), &nan, sizeof(nan));
    std::memcpy(job.values.data() + damaged * job.row_bytes, &nan, sizeof(nan));
    elastify_test::for_each_target([&](const std::string& target, bool) {
      INFO(target << ", " << job.count << " queries from " << job.first);
      const std::vector<float> out = job.run();
      for (std::size_t q = 0; q < job.count; ++q) {
        const bool sees = q >= job.count / 2 && (job.window == 0 || q < job.count / 2 + job.window);
        CHECK(std::isnan(out[q * job.dim]) == sees);
      }
    });
  }
}
