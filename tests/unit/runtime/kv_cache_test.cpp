// The cache's types: what they lose, and what must not depend on anything else.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/kernels.hpp"
#include "unit/runtime/session_support.h"

using namespace elastify_test;
using elrt::KvType;

namespace {

// What attention reads of one stored value: at a single position its weight is 1.
std::vector<float> through_cache(KvType type, const std::vector<float>& x) {
  const std::size_t dim = x.size();
  std::vector<std::byte> row(elrt::kv_row_bytes(type, dim)), tile(elrt::kv_tile_bytes(type, dim));
  elrt::kernels::store_value(type, x.data(), dim, row.data());
  std::vector<float> query(dim, 0), scores(elrt::kernels::attention_scores(1)), out(dim);
  elrt::kernels::Attention job;
  job.queries = query.data(), job.count = 1, job.type = type, job.keys = tile.data(), job.values = row.data(),
  job.row_bytes = row.size();
  job.head_dim = dim, job.scores = scores.data(), job.out = out.data();
  elrt::kernels::attend(job);
  return out;
}

double rms_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, total = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(static_cast<double>(a[i]) - b[i], 2), total += std::pow(static_cast<double>(b[i]), 2);
  }
  return std::sqrt(difference / total);
}

}  // namespace

TEST_CASE("a cache row gives its values back within its type's rounding", "[runtime][unit]") {
  std::uint64_t state = 5;
  for (const std::size_t dim : {2u, 8u, 24u, 40u, 64u, 80u, 128u}) {
    for (const float size : {1e-12f, 1e-4f, 1.0f, 300.0f}) {
      std::vector<float> x(dim);
      for (float& value : x) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        value = size * (static_cast<float>(state >> 40) / static_cast<float>(1 << 23) - 1);
      }
      CHECK(through_cache(KvType::kF32, x) == x);
      const auto half = through_cache(KvType::kF16, x), bytes = through_cache(KvType::kQ8_0, x);
      for (std::size_t i = 0; i < dim; ++i) {
        INFO("head_dim " << dim << ", size " << size << ", value " << i);
        CHECK(std::abs(half[i] - x[i]) <=
              std::abs(x[i]) / 2048 + 0x1p-25f);  // half a unit of 11 bits, or of the smallest half
        float largest = 0;
        for (std::size_t j = i / 32 * 32; j < std::min(dim, i / 32 * 32 + 32); ++j)
          largest = std::max(largest, std::abs(x[j]));
        // Half a step, and the scale's own rounding on 127 steps; a scale below the smallest half loses the block.
        CHECK(std::abs(bytes[i] - x[i]) <= largest / 254 + largest / 2048 + 127 * 0x1p-24f);
      }
    }
  }
}

TEST_CASE("a cache row keeps what is too large at the largest, and damage visible", "[runtime][unit]") {
  const float huge = 1e30f, nan = std::numeric_limits<float>::quiet_NaN();
  for (const std::size_t dim : {8u, 32u, 40u}) {
    std::vector<float> x(dim, 1);
    x[3] = -huge;
    CHECK(through_cache(KvType::kF16, x)[3] == -65504);
    CHECK(through_cache(KvType::kQ8_0, x)[3] == Approx(-127 * 65504.0));
    x[3] = nan;
    CHECK(std::isnan(through_cache(KvType::kF16, x)[3]));
    CHECK(std::isnan(through_cache(KvType::kQ8_0, x)[3]));
    x[3] = 1, x.back() = nan;
    CHECK(std::isnan(through_cache(KvType::kF16, x).back()));
    CHECK(std::isnan(through_cache(KvType::kQ8_0, x).back()));
  }
}

TEST_CASE("a smaller cache changes logits little, and not with batches, threads or the other levels in the file",
          "[runtime][unit]") {
  for (TinyElasticShape shape : shape_of_each_type()) {
    shape.adapters = false;
    shape.kv_groups = {1, 1, 1, 1, 1, 1, 2, 2, 2}, shape.neurons = {40, 40, 40, 100, 100, 100, 172, 172, 172};
    const TinyElastic model(shape);
    const auto artifact = open_tiny(model);
    const auto tokens = model.text(31);
    for (const std::uint32_t level : shape.levels) {
      auto exact = open_session(artifact, {level});
      const auto reference = read_all(exact, tokens);
      const auto alone_artifact = open_tiny(model.alone(level));
      for (const KvType kv : kKvTypes) {
        INFO("type " << shape.quantised << ", level " << level << ", cache " << elrt::kv_type_name(kv));
        auto whole = open_session(artifact, {level, 1, 128, kv}), batched = open_session(artifact, {level, 3, 5, kv}),
             single = open_session(artifact, {level, 2, 1, kv}),
             alone = open_session(alone_artifact, {100, 1, 128, kv});
        const auto expected = read_all(whole, tokens);
        CHECK(equal_bits(read_all(batched, tokens), expected));
        CHECK(equal_bits(read_all(single, tokens), expected));
        CHECK(equal_bits(read_all(alone, tokens), expected));
        // Products of quantised weights, and of BF16 ones on some processors, round activations too, so that a small
        // change may be passed on as a step: their bound is wider.
        const double steps = shape.quantised != 0 ? 3e-2 : shape.bf16 ? 1e-2 : 0;
        const double bound = kv == KvType::kF32 ? 0 : (kv == KvType::kF16 ? 1e-3 : 2e-2) + steps;
        CHECK(rms_difference(expected, reference) <= bound);
      }
    }
  }
}

TEST_CASE("a session says what its cache takes per token", "[runtime][unit]") {
  TinyElasticShape shape;
  shape.head_dim = 40;
  const TinyElastic model(shape);
  const auto artifact = open_tiny(model);
  const auto bytes = [&](std::uint32_t level, KvType kv) {
    return open_session(artifact, {level, 1, 128, kv}).cache_bytes_per_token();
  };
  CHECK(bytes(100, KvType::kF32) == 2 * 6 * 40 * 4);
  CHECK(bytes(100, KvType::kF16) == 2 * 6 * 40 * 2);
  CHECK(bytes(100, KvType::kQ8_0) == 2 * 6 * (40 + 2 * 2));
  CHECK(bytes(50, KvType::kF16) == 2 * 4 * 40 * 2);
  const auto lacking = open_tiny(TinyElastic(with_empty_halves(shape)));
  CHECK(open_session(lacking, {50}).cache_bytes_per_token() == 2 * (0 + 2 + 1) * 40 * 4);
  CHECK(open_session(lacking, {20}).cache_bytes_per_token() == 2 * (0 + 1 + 0) * 40 * 4);
  CHECK(elrt::parse_kv_type("q8_0").value() == KvType::kQ8_0);
  CHECK_FALSE(elrt::parse_kv_type("q4"));
}
