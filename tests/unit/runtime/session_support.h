// Short ways to a session on a tiny model, for tests.
#pragma once

#include <catch2/catch.hpp>
#include <cstring>
#include <numeric>
#include <span>
#include <vector>

#include "elrt/session.hpp"
#include "unit/runtime/tiny_elastic.h"

namespace elastify_test {

inline elrt::Artifact open_tiny(const TinyElastic& model) {
  const TemporaryFile file(model.artifact().build());
  auto artifact = elrt::Artifact::open(file.path());
  if (!artifact) FAIL(artifact.failure().message);
  return std::move(artifact).value();  // the mapping outlives the file's name
}

struct SessionSetting {
  std::uint32_t level = 100, threads = 1, batch = 128;
  elrt::KvType kv = elrt::KvType::kF32;
};

inline elrt::Session open_session(const elrt::Artifact& artifact, const SessionSetting& setting) {
  elrt::SessionOptions options;
  options.level = setting.level, options.threads = setting.threads, options.batch_tokens = setting.batch,
  options.kv_type = setting.kv;
  auto made = elrt::Session::create(artifact, options);
  if (!made) FAIL(made.failure().message);
  return std::move(made).value();
}

inline std::vector<float> read_all(elrt::Session& session, std::span<const elrt::TokenId> tokens) {
  std::vector<std::uint32_t> rows(tokens.size());
  std::iota(rows.begin(), rows.end(), 0u);
  auto logits = session.forward(tokens, rows);
  if (!logits) FAIL(logits.failure().message);
  return {logits->begin(), logits->end()};
}

inline bool equal_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Two models for each type of weights, with adapters and grouped queries; the second one's levels lack halves and share
// an adapter.
inline std::vector<TinyElasticShape> shape_of_each_type() {
  std::vector<TinyElasticShape> all(6);
  all[1].f16 = true;
  all[2].quantised = kQ8;
  all[3].quantised = kQ4;
  all[4].quantised = kIq4;
  all[5].bf16 = true;
  for (auto& shape : all) shape.adapters = true;
  for (std::size_t i = 0; i < 6; ++i) {
    all.push_back(with_empty_halves(all[i], i % 2 == 0));
    all.back().shared = true;
    all.back().adapters_q8 = i % 2 == 0;
  }
  return all;
}

inline constexpr elrt::KvType kKvTypes[] = {elrt::KvType::kF32, elrt::KvType::kF16, elrt::KvType::kQ8_0};

}  // namespace elastify_test
